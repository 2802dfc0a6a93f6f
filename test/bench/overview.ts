/** All works beside each other: what each peer reached, what processor time it took, and what one core of Weft carries. */
import { figure, NONE, table, times } from './markdown.ts';
import type { PeerFigures, WorkFigures } from './result.ts';

type Titled = (peer: string) => string;

function rows(
  works: readonly WorkFigures[],
  peers: readonly string[],
  first: (work: WorkFigures) => string,
  cell: (peer: PeerFigures) => readonly [number | undefined, number | undefined],
): readonly (readonly string[])[] {
  return works.map((work) => [
    first(work),
    ...peers.map((name) => {
      const found = work.peers.find(({ peer }) => peer === name);
      const [value, ratio] = found === undefined ? [undefined, undefined] : cell(found);
      if (value === undefined) return NONE;
      return ratio === undefined || name === 'direct' ? figure(value) : `${figure(value)} (${times(ratio)})`;
    }),
  ]);
}

/** A row for each work, a column for each peer; in brackets Weft's figure over that peer's. */
export function comparedTables(works: readonly WorkFigures[], titled: Titled): readonly string[] {
  const all = [...new Set(works.flatMap(({ peers }) => peers.map(({ peer }) => peer)))];
  // Weft in other settings is told apart by its own tables.
  const peers = all.filter((peer) => !peer.startsWith('weft-'));
  if (works.length === 0 || peers.length < 2) return [];
  const speed = rows(
    works,
    peers,
    ({ title, unit, better }) => `${title}, ${unit}${better === 'less' ? ' (less is better)' : ''}`,
    ({ median, ratio }) => [median, ratio],
  );
  const spending = peers.filter((peer) => peer !== 'direct');
  const spent = works.filter((work) => work.peers.some(({ ownCpu }) => ownCpu !== undefined));
  const cpu = rows(
    spent,
    spending,
    ({ title, cpuPer }) => `${cpuPer}: ${title}`,
    ({ ownCpu, cpuRatio }) => [ownCpu, cpuRatio],
  );
  return [
    '### By work: the figure, and Weft over it',
    '',
    ...table([['', ...peers.map(titled)], ...speed], 'figures'),
    '',
    '### Processor seconds of its own, both ends, and Weft over them',
    '',
    ...table([['', ...spending.map(titled)], ...cpu], 'figures'),
    '',
  ];
}

const OTHERWISE: Readonly<Record<string, string>> = {
  'weft-observed': 'metrics read each second, a dashboard open',
  'weft-by-user': 'callers told apart by user',
  'weft-by-program': 'callers told apart by program',
};

/** Weft beside itself in other settings, in the works that it is compared by there. */
export function settingsTable(works: readonly WorkFigures[]): readonly string[] {
  const found = works.flatMap(({ title, unit, peers }) => {
    const plain = peers.find(({ peer }) => peer === 'weft');
    const others = peers.filter(({ peer }) => peer in OTHERWISE);
    if (plain === undefined || others.length === 0) return [];
    const row = (setting: string, { median, ratio, ownCpu, cpuRatio }: PeerFigures): readonly string[] => {
      return [setting, figure(median), times(ratio), figure(ownCpu), times(cpuRatio), `${title}, ${unit}`];
    };
    return [row('as it is', plain), ...others.map((other) => row(OTHERWISE[other.peer] ?? other.peer, other))];
  });
  if (found.length === 0) return [];
  const header = ['', 'figure', 'as it is/this', 'CPU s', 'as it is/this', 'of'];
  return ['### Weft in other settings', '', ...table([header, ...found]), ''];
}

/** What one core of an agent's host carries, by the processor time that its process spent. */
export function coreTable(works: readonly WorkFigures[]): readonly string[] {
  const found = works.flatMap(({ name, title, cpuPer, perAmount, peers }) => {
    const { endsCpu: ends, endsMemory: memory } = peers.find(({ peer }) => peer === 'weft') ?? {};
    if (ends === undefined || !(ends.client > 0) || !(ends.server > 0)) return [];
    const carries = (seconds: number): string => {
      const amount = perAmount / seconds;
      return cpuPer === 'GB' ? `${figure((amount * 8) / 1e6)} Mbit/s` : `${figure(amount)} /s`;
    };
    const client = [figure(ends.client), carries(ends.client), figure(memory?.client)];
    // Names are answered where they are asked.
    const server = [figure(ends.server), name === 'dns' ? NONE : carries(ends.server), figure(memory?.server)];
    return [[title, ...client, ...server, cpuPer]];
  });
  if (found.length === 0) return [];
  const header = ['', "s, callers' agent", 'one core', 'MiB', "s, servers' agent", 'one core', 'MiB', 'per'];
  return [
    "### Weft by core: each end's processor seconds, what one core of it carries, and its memory (MiB) after that work and all before it",
    '',
    ...table([header, ...found]),
    '',
  ];
}
