/**
 * Flows for Prometheus: what this agent saw of them since it started, by source, service and the end at which it saw them.
 * Held for good, for a counter must not go back; so their number is bounded, and pairs beyond it are counted as one.
 */
import { entryOf, type FlowOutcome } from '@weft/proto';
import { Histogram, type HistogramCounts } from './histogram.ts';

/** `source` sees every flow of its own host's callers; `destination` those that came to this host through a tunnel. */
export type Reporter = 'source' | 'destination';

export interface SeriesCounts {
  readonly source: string;
  readonly service: string;
  readonly reporter: Reporter;
  readonly open: number;
  readonly opened: number;
  readonly denied: number;
  /** By outcome. */
  readonly failed: Readonly<Record<string, number>>;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Seconds. */
  readonly setup: HistogramCounts;
  readonly duration: HistogramCounts;
}

export const SETUP_SECONDS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
];
export const DURATION_SECONDS: readonly number[] = [0.01, 0.1, 1, 10, 60, 600, 3_600];
export const MAX_SERIES_PAIRS = 500;
/** Stands for the names that found no room. */
export const OTHER = 'other';

export class Series implements SeriesCounts {
  readonly source: string;
  readonly service: string;
  readonly reporter: Reporter;
  open = 0;
  opened = 0;
  denied = 0;
  readonly failed: Record<string, number> = {};
  /** Of flows that ended. */
  endedSent = 0;
  endedReceived = 0;
  /** Of those that live, as of the last look. */
  liveSent = 0;
  liveReceived = 0;
  readonly setup = new Histogram(SETUP_SECONDS);
  readonly duration = new Histogram(DURATION_SECONDS);

  constructor(source: string, service: string, reporter: Reporter) {
    this.source = source;
    this.service = service;
    this.reporter = reporter;
  }

  get bytesSent(): number {
    return this.endedSent + this.liveSent;
  }

  get bytesReceived(): number {
    return this.endedReceived + this.liveReceived;
  }

  fail(outcome: FlowOutcome, count = 1): void {
    this.failed[outcome] = (this.failed[outcome] ?? 0) + count;
  }

  /** As plain values, for another thread. */
  copy(): SeriesCounts {
    const { source, service, reporter, open, opened, denied, bytesSent, bytesReceived } = this;
    const { setup, duration } = this;
    return {
      ...{ source, service, reporter, open, opened, denied, bytesSent, bytesReceived },
      failed: { ...this.failed },
      setup: { counts: [...setup.counts], sum: setup.sum },
      duration: { counts: [...duration.counts], sum: duration.sum },
    };
  }
}

/** Which pairs have a name of their own: the first that came. What was named once stays named. */
export class PairNames {
  readonly #most: number;
  readonly #names = new Map<string, Set<string>>();
  #count = 0;

  constructor(most: number = MAX_SERIES_PAIRS) {
    this.#most = most;
  }

  admits(source: string, service: string): boolean {
    if (this.#names.get(source)?.has(service) === true) return true;
    if (this.#count >= this.#most) return false;
    entryOf(this.#names, source, () => new Set()).add(service);
    this.#count++;
    return true;
  }
}

type BySource = Map<string, Map<string, Series>>;

export class SeriesTable {
  readonly #names: PairNames;
  readonly #named: Readonly<Record<Reporter, BySource>> = { source: new Map(), destination: new Map() };
  readonly #others: Partial<Record<Reporter, Series>> = {};
  readonly #all: Series[] = [];

  constructor(names: PairNames = new PairNames()) {
    this.#names = names;
  }

  get all(): readonly Series[] {
    return this.#all;
  }

  of(source: string, service: string, reporter: Reporter): Series {
    const known = this.#named[reporter].get(source)?.get(service);
    if (known !== undefined) return known;
    const named = this.#names.admits(source, service);
    if (!named && this.#others[reporter] !== undefined) return this.#others[reporter];
    const series = named ? new Series(source, service, reporter) : new Series(OTHER, OTHER, reporter);
    this.#all.push(series);
    if (named) entryOf(this.#named[reporter], source, () => new Map()).set(service, series);
    else this.#others[reporter] = series;
    return series;
  }

  /** Adds what was counted elsewhere. To be used on a table that is made for one answer. */
  add(counts: SeriesCounts): void {
    const series = this.of(counts.source, counts.service, counts.reporter);
    series.open += counts.open;
    series.opened += counts.opened;
    series.denied += counts.denied;
    series.endedSent += counts.bytesSent;
    series.endedReceived += counts.bytesReceived;
    for (const [outcome, count] of Object.entries(counts.failed)) series.fail(outcome as FlowOutcome, count);
    series.setup.add(counts.setup);
    series.duration.add(counts.duration);
  }
}
