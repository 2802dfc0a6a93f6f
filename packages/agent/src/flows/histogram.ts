/** Counts in fixed buckets: observing is one short search and three additions. */

/** Values up to each bound, each bucket for itself, and in the end those over all bounds. */
export interface HistogramCounts {
  readonly counts: readonly number[];
  readonly sum: number;
}

export class Histogram implements HistogramCounts {
  readonly counts: number[];
  sum = 0;
  readonly #bounds: readonly number[];

  /** @param bounds rising. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] ?? 0)) bucket++;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.sum += value;
  }

  /** Adds what was counted elsewhere with the same bounds. */
  add({ counts, sum }: HistogramCounts): void {
    for (const [bucket, count] of counts.entries()) this.counts[bucket] = (this.counts[bucket] ?? 0) + count;
    this.sum += sum;
  }
}
