/**
 * Who calls whom, counted as flows begin and end; bytes of live flows are read when somebody asks. One count serves two ends:
 * telemetry, where each flow is told by the agent that records it, and so once in the network; and metrics, where each agent
 * counts what it saw.
 */
import {
  type DeniedAttempt,
  defined,
  type FlowOutcome,
  OUTCOMES,
  type PairTraffic,
  type TrafficPair,
} from '@weft/proto';
import { isOther, type Pair, PairIndex } from './pairs.ts';
import { type Reporter, type Series, SeriesTable } from './series.ts';

/** A flow as it is counted. */
export interface CountedFlow extends TrafficPair {
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly reporter: Reporter;
  /** Where it is counted since it began. */
  readonly pair: Pair | undefined;
  /** Whether this agent tells of it: the destination of those that got there, the source of all others. */
  readonly told: boolean;
  /** The tunnel under it ended, so that it failed, whoever is said to have reset it. */
  readonly severed: boolean;
}

export interface TrafficOptions {
  /** Whether to count for metrics as well. */
  readonly metrics?: boolean;
  /** Pairs held; further ones are counted as one. */
  readonly pairs?: number;
  /** A pair without a flow for this long is let go, milliseconds. */
  readonly idleMs?: number;
  /** Milliseconds, of any clock that is not set back. */
  readonly now?: () => number;
}

export interface TakenPairs {
  readonly pairs: readonly PairTraffic[];
  /** Pairs that had something to tell and found no room. What they counted is told with the next. */
  readonly omitted: number;
}

const DEFAULT_PAIRS = 5_000;
const DEFAULT_IDLE_MS = 300_000;

export class FlowTraffic {
  readonly #index: PairIndex;
  readonly #idleMs: number;
  readonly #now: () => number;
  readonly #series: SeriesTable | undefined;
  /** Flows of other threads that live, by thread. */
  readonly #elsewhere = new Map<number, Map<Pair, number>>();
  #live: Iterable<CountedFlow> = [];

  constructor(options: TrafficOptions = {}) {
    this.#index = new PairIndex(options.pairs ?? DEFAULT_PAIRS);
    this.#idleMs = options.idleMs ?? DEFAULT_IDLE_MS;
    this.#now = options.now ?? (() => performance.now());
    this.#series = options.metrics === true ? new SeriesTable() : undefined;
  }

  /** Whether the time that a flow takes to open is of interest. */
  get timed(): boolean {
    return this.#series !== undefined;
  }

  /** Names the live flows, whose bytes are read whenever somebody asks. */
  follow(live: Iterable<CountedFlow>): void {
    this.#live = live;
  }

  /** A flow got through to its program. Answers with where it is counted until it ends. */
  began(names: TrafficPair, reporter: Reporter, told: boolean, setupMs: number): Pair | undefined {
    if (!told && this.#series === undefined) return undefined;
    const pair = this.#index.of(names);
    pair.holders++;
    if (told) {
      pair.open++;
      pair.opened++;
    }
    const series = this.#seriesOf(pair, names, reporter);
    if (series !== undefined) {
      series.open++;
      series.opened++;
      series.setup.observe(setupMs / 1_000);
    }
    return pair;
  }

  /** `recorded`: this agent writes the record, which it may do also where another has told of the flow. */
  ended(flow: CountedFlow, outcome: FlowOutcome, durationMs: number, recorded: boolean): void {
    const { pair, told, reporter, severed } = flow;
    const failed = OUTCOMES[outcome].failed || (severed && outcome === 'reset');
    // Of a severed flow both ends write a record, and its source tells that it failed; of all others whoever records them.
    const telling = failed && recorded && (!severed || reporter === 'source');
    if (pair === undefined) {
      // Of a cut that the destination cannot tell of any more, the source does.
      if (telling) this.#index.of(flow).failed++;
      return;
    }
    pair.holders--;
    if (told) {
      pair.open--;
      pair.sent += flow.bytesSent;
      pair.received += flow.bytesReceived;
    }
    if (telling) pair.failed++;
    const series = this.#seriesOf(pair, flow, reporter);
    if (series === undefined) return;
    series.open--;
    series.endedSent += flow.bytesSent;
    series.endedReceived += flow.bytesReceived;
    series.duration.observe(durationMs / 1_000);
    if (failed) series.fail(outcome);
  }

  /** A flow ended before it got anywhere; `denied` when that was the reason. */
  stillborn(names: TrafficPair, reporter: Reporter, told: boolean, outcome: FlowOutcome, denied: DeniedAttempt): void {
    if (!told && this.#series === undefined) return;
    const pair = this.#index.of(names);
    const { failed } = OUTCOMES[outcome];
    if (told && outcome === 'denied') {
      pair.denied++;
      pair.lastDenied = denied;
    } else if (told) {
      pair.opened++;
      if (failed) pair.failed++;
    }
    const series = this.#seriesOf(pair, names, reporter);
    if (series === undefined) return;
    if (outcome === 'denied') series.denied++;
    else {
      series.opened++;
      if (failed) series.fail(outcome);
    }
  }

  /** What was counted since the last call, those that moved most first. Counts are told once; `giveBack` undoes it. */
  take(most: number): TakenPairs {
    this.#look();
    const nowMs = this.#now();
    const telling: Pair[] = [];
    for (const pair of this.#index.all()) {
      if (pair.moved || pair.openNow > 0) {
        pair.usedMs = nowMs;
        telling.push(pair);
      }
    }
    this.#index.prune(
      (pair) => pair.usedMs < nowMs - this.#idleMs && pair.holders === 0 && !pair.moved && pair.openNow === 0,
    );
    if (telling.length > most) telling.sort((left, right) => weight(right) - weight(left));
    return { pairs: telling.slice(0, most).map(tell), omitted: Math.max(0, telling.length - most) };
  }

  /** What was taken did not reach anyone. */
  giveBack(pairs: readonly PairTraffic[]): void {
    for (const each of pairs) this.#add(each);
  }

  /** Takes over what another thread has taken: counts are added, and its live flows replace those of before. */
  adopt(thread: number, pairs: readonly PairTraffic[]): void {
    for (const [pair, open] of this.#elsewhere.get(thread) ?? []) pair.openElsewhere -= open;
    const living = new Map<Pair, number>();
    for (const each of pairs) {
      const pair = this.#add(each);
      if (each.open === 0) continue;
      pair.openElsewhere += each.open;
      living.set(pair, (living.get(pair) ?? 0) + each.open);
    }
    this.#elsewhere.set(thread, living);
  }

  /** For metrics, as of now. */
  series(): readonly Series[] {
    this.#look();
    return this.#series?.all ?? [];
  }

  /** Reads the bytes of all live flows. */
  #look(): void {
    for (const pair of this.#index.all()) {
      pair.liveSent = 0;
      pair.liveReceived = 0;
    }
    for (const series of this.#series?.all ?? []) {
      series.liveSent = 0;
      series.liveReceived = 0;
    }
    for (const flow of this.#live) {
      const { pair, told, reporter, bytesSent, bytesReceived } = flow;
      if (pair === undefined) continue;
      if (told) {
        pair.liveSent += bytesSent;
        pair.liveReceived += bytesReceived;
      }
      const series = this.#seriesOf(pair, flow, reporter);
      if (series === undefined) continue;
      series.liveSent += bytesSent;
      series.liveReceived += bytesReceived;
    }
  }

  #add(counts: PairTraffic): Pair {
    const pair = isOther(counts, '') ? this.#index.other : this.#index.of(counts);
    pair.opened += counts.opened;
    pair.denied += counts.denied;
    pair.failed += counts.failed;
    pair.sent += counts.bytesSent;
    pair.received += counts.bytesReceived;
    const lastDenied = laterDenied(pair.lastDenied, counts.lastDenied);
    if (lastDenied !== undefined) pair.lastDenied = lastDenied;
    return pair;
  }

  #seriesOf(pair: Pair, { source, service }: TrafficPair, reporter: Reporter): Series | undefined {
    if (this.#series === undefined) return undefined;
    // One pair stands for many when there is no room: theirs are found by name.
    if (pair === this.#index.other) return this.#series.of(source, service, reporter);
    if (reporter === 'source') {
      pair.atSource ??= this.#series.of(source, service, reporter);
      return pair.atSource;
    }
    pair.atDestination ??= this.#series.of(source, service, reporter);
    return pair.atDestination;
  }
}

/** Of two of which no time is known; a rename is a revision of its own, so that those by the name of now are later. */
export function laterDenied(
  known: DeniedAttempt | undefined,
  other: DeniedAttempt | undefined,
): DeniedAttempt | undefined {
  if (known === undefined || other === undefined) return known ?? other;
  return other.revision > known.revision ? other : known;
}

/** What moved: a flow counts as some bytes, so that many small calls stand beside one copy. */
function weight(pair: Pair): number {
  const { opened, denied, failed, sent, received, liveSent, liveReceived } = pair;
  return (opened + denied + failed) * 1_000 + sent + liveSent + received + liveReceived + pair.openNow;
}

function tell(pair: Pair): PairTraffic {
  const { source, sourceHost, service, destinationHost, openNow: open, opened, denied, failed, lastDenied } = pair;
  const bytesSent = Math.max(0, pair.sent + pair.liveSent);
  const bytesReceived = Math.max(0, pair.received + pair.liveReceived);
  pair.opened = 0;
  pair.denied = 0;
  pair.failed = 0;
  pair.lastDenied = undefined;
  // Below 0 by what the live flows have: their end brings it back.
  pair.sent -= bytesSent;
  pair.received -= bytesReceived;
  const names = { source, sourceHost, service, destinationHost };
  return {
    ...names,
    open,
    opened,
    denied,
    failed,
    bytesSent,
    bytesReceived,
    ...defined({ lastDenied }),
  };
}
