/** Peers that compile what they run most while they run: each work is run over them before the first round until that no longer helps. */
import type { Path } from './path.ts';
import type { Stage } from './stage.ts';
import { stillWarming } from './statistics.ts';
import type { Length, Sample, Work } from './types.ts';

/** What the runs before the first round took of the peer's own processor seconds, per unit of the work. */
export interface Warmed {
  readonly work: string;
  readonly title: string;
  readonly cpuPer: string;
  readonly peer: string;
  readonly runs: number;
  /** Undefined where the system does not tell. */
  readonly first: number | undefined;
  readonly last: number | undefined;
}

const costOf = ({ per }: Work, { cpu, amount }: Sample): number | undefined =>
  cpu === undefined || amount === 0 ? undefined : (cpu.own * per.amount) / amount;

/** Throws what a run throws. */
export async function warmUp(stage: Stage, work: Work, peer: string, path: Path, length: Length): Promise<Warmed> {
  const costs: (number | undefined)[] = [];
  do costs.push(costOf(work, await work.run(stage, path, length)));
  while (stillWarming(costs));
  const { name, title, per } = work;
  return { work: name, title, cpuPer: per.label, peer, runs: costs.length, first: costs[0], last: costs.at(-1) };
}
