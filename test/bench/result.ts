/** What a run found, as plain values: samples, their medians, ratios and the targets. */
import { type ByRound, median, medianRatio } from './statistics.ts';
import { reached, type Target } from './targets.ts';
import type { Ends, Sample, Work } from './types.ts';

export interface LeftOut {
  readonly name: string;
  readonly reason: string;
}

/** One try of a work over a peer. */
export type Tried = { readonly round: number } & (Sample | { readonly error: string });

/** What was run: by work, and in it by peer. */
export type Runs = ReadonlyMap<Work, ReadonlyMap<string, readonly Tried[]>>;

export interface PeerFigures {
  readonly peer: string;
  readonly median: number | undefined;
  /** Weft's figure over this peer's. */
  readonly ratio: number | undefined;
  /** CPU seconds per unit of the work: of its own processes, and of the whole machine. */
  readonly ownCpu: number | undefined;
  readonly machineCpu: number | undefined;
  /** Of its own, what the process at the callers' end spent, and that at the servers'. */
  readonly endsCpu: Ends | undefined;
  /** MiB that were resident of each end's process. */
  readonly endsMemory: Ends | undefined;
  /** Weft's own CPU over this peer's. */
  readonly cpuRatio: number | undefined;
  /** Medians of what was measured beside the value. */
  readonly beside: Readonly<Record<string, number>>;
  readonly tries: readonly Tried[];
}

export interface WorkFigures {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly better: 'more' | 'less';
  readonly cpuPer: string;
  /** That many bytes, requests or datagrams. */
  readonly perAmount: number;
  readonly peers: readonly PeerFigures[];
}

export interface TargetFigures extends Target {
  readonly title: string;
  /** Undefined where one of the two was not measured. */
  readonly measured: number | undefined;
  readonly reached: boolean | undefined;
}

function byRound(tries: readonly Tried[], pick: (sample: Sample) => number | undefined): ByRound {
  const figures = new Map<number, number>();
  for (const one of tries) {
    const figure = 'error' in one ? undefined : pick(one);
    if (figure !== undefined) figures.set(one.round, figure);
  }
  return figures;
}

const figureOf = (sample: Sample): number => sample.value;

function cpuOf(work: Work, which: 'own' | 'machine'): (sample: Sample) => number | undefined {
  return ({ cpu, amount }) => (cpu === undefined ? undefined : (cpu[which] * work.per.amount) / amount);
}

function besideOf(tries: readonly Tried[]): Readonly<Record<string, number>> {
  const samples = tries.flatMap((one) => ('error' in one || one.beside === undefined ? [] : [one.beside]));
  const labels = new Set(samples.flatMap((sample) => Object.keys(sample)));
  const middle = (label: string): number => median(samples.flatMap((one) => one[label] ?? [])) ?? Number.NaN;
  return Object.fromEntries([...labels].map((label) => [label, middle(label)]));
}

function endsOf(tries: readonly Tried[], pick: (sample: Sample) => Ends | undefined): Ends | undefined {
  const middle = (end: keyof Ends) => median([...byRound(tries, (sample) => pick(sample)?.[end]).values()]);
  const [client, server] = [middle('client'), middle('server')];
  return client === undefined || server === undefined ? undefined : { client, server };
}

/** The direct path has no processes of its own, but those in front of it. */
const aboveNothing = (cpu: number | undefined): number | undefined => (cpu === 0 ? undefined : cpu);

function scaled(ends: Ends | undefined, by: number): Ends | undefined {
  return ends && { client: ends.client * by, server: ends.server * by };
}

export function workFigures(runs: Runs): readonly WorkFigures[] {
  return [...runs].map(([work, peers]) => {
    const weft = peers.get('weft') ?? [];
    const own = cpuOf(work, 'own');
    const figures = [...peers].map(([peer, tries]): PeerFigures => {
      const middle = (pick: (sample: Sample) => number | undefined) => median([...byRound(tries, pick).values()]);
      const over = (pick: (sample: Sample) => number | undefined) =>
        peer === 'weft' ? undefined : medianRatio(byRound(weft, pick), byRound(tries, pick));
      return {
        peer,
        median: middle(figureOf),
        ratio: over(figureOf),
        ownCpu: peer === 'direct' ? aboveNothing(middle(own)) : middle(own),
        machineCpu: middle(cpuOf(work, 'machine')),
        endsCpu: endsOf(tries, ({ cpu, amount }) => scaled(cpu?.ends, work.per.amount / amount)),
        endsMemory: endsOf(tries, ({ cpu }) => cpu?.resident),
        cpuRatio: peer === 'direct' ? undefined : over(own),
        beside: besideOf(tries),
        tries,
      };
    });
    const { name, title, unit, better, per } = work;
    return { name, title, unit, better, cpuPer: per.label, perAmount: per.amount, peers: figures };
  });
}

/** The targets of the works that were run. */
export function targetFigures(works: readonly WorkFigures[], targets: readonly Target[]): readonly TargetFigures[] {
  return targets.flatMap((target) => {
    const work = works.find(({ name }) => name === target.work);
    if (work === undefined) return [];
    const peer = work.peers.find((one) => one.peer === target.peer);
    const measured = target.figure === 'value' ? peer?.ratio : peer?.cpuRatio;
    const title = target.figure === 'value' ? work.title : `CPU per ${work.cpuPer}, ${work.title}`;
    return [{ ...target, title, measured, reached: measured === undefined ? undefined : reached(target, measured) }];
  });
}

/** Every try that gave no figure, in words. */
export function failuresOf(works: readonly WorkFigures[]): readonly string[] {
  return works.flatMap(({ name, peers }) =>
    peers.flatMap(({ peer, tries }) =>
      tries.flatMap((one) => ('error' in one ? [`${name} over ${peer}, round ${one.round + 1}: ${one.error}`] : [])),
    ),
  );
}
