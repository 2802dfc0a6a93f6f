/** What is made of the samples of several rounds. */

export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1];
  const lower = sorted[(sorted.length - 1) >> 1];
  return upper === undefined || lower === undefined ? undefined : (lower + upper) / 2;
}

/** What half of the values and what 99 of 100 stay under; 0 where there are none. */
export function spread(values: readonly number[]): { readonly p50: number; readonly p99: number } {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}

/** A figure by its round; a round without one is left out. */
export type ByRound = ReadonlyMap<number, number>;

/**
 * The median of the rounds' ratios. Samples of one round were taken seconds apart, so what else the machine did in that
 * round weighs on both and falls out; a ratio of medians would compare moments that never met.
 */
export function medianRatio(ours: ByRound, theirs: ByRound): number | undefined {
  const ratios: number[] = [];
  for (const [round, value] of ours) {
    const other = theirs.get(round);
    if (other !== undefined && other > 0) ratios.push(value / other);
  }
  return median(ratios);
}

/** The order of one round: every second round goes the other way, and another peer begins each time. */
export function roundOrder<T>(items: readonly T[], round: number): readonly T[] {
  const start = items.length === 0 ? 0 : round % items.length;
  const forward = round % 2 === 0;
  const turned = forward ? items : items.toReversed();
  const from = forward ? start : items.length - 1 - start;
  return [...turned.slice(from), ...turned.slice(0, from)];
}

/** A run that takes less than this of the one before says that there is more to come. */
const STILL_FALLING = 0.95;
/** Each leaves a few thousand callers' ports taken for a minute, and a caller has 28,000 of them for one server. */
const MOST_RUNS = 5;

/** Whether one more run may be cheaper yet, by what each took. A system that does not tell what they take has one. */
export function stillWarming(costs: readonly (number | undefined)[]): boolean {
  if (costs.length >= MOST_RUNS) return false;
  const [before, last] = [costs.at(-2), costs.at(-1)];
  if (last === undefined) return false;
  return costs.length === 1 || (before !== undefined && last < before * STILL_FALLING);
}
