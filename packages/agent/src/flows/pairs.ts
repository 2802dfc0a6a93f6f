/** Pairs that flows are counted by, found by their four names without making a key of them. */
import { type DeniedAttempt, entryOf, type TrafficPair } from '@weft/proto';
import { OTHER, type Series } from './series.ts';

export class Pair implements TrafficPair {
  readonly source: string;
  readonly sourceHost: string;
  readonly service: string;
  readonly destinationHost: string;
  /** Flows that live and are told of here. */
  open = 0;
  /** The same, of other threads. */
  openElsewhere = 0;
  /** Live flows that hold this pair, told of or not. */
  holders = 0;
  opened = 0;
  denied = 0;
  failed = 0;
  lastDenied: DeniedAttempt | undefined;
  /** Bytes of flows that ended, less those that were told; of live flows as well, so that it may be below 0 between looks. */
  sent = 0;
  received = 0;
  /** Of live flows, as of the look that is under way. */
  liveSent = 0;
  liveReceived = 0;
  usedMs = 0;
  /** Where metrics count its flows; not set where there are none. */
  atSource: Series | undefined;
  atDestination: Series | undefined;

  constructor({ source, sourceHost, service, destinationHost }: TrafficPair) {
    this.source = source;
    this.sourceHost = sourceHost;
    this.service = service;
    this.destinationHost = destinationHost;
  }

  /** Flows that live, of all threads. */
  get openNow(): number {
    return this.open + this.openElsewhere;
  }

  /** Whether there is something to tell. */
  get moved(): boolean {
    return (
      this.opened + this.denied + this.failed > 0 ||
      this.sent + this.liveSent > 0 ||
      this.received + this.liveReceived > 0
    );
  }
}

/** Whether these names stand for all that found no room. */
export function isOther({ source, sourceHost, service, destinationHost }: TrafficPair, host: string): boolean {
  return source === OTHER && service === OTHER && sourceHost === host && destinationHost === '';
}

type ByHost = Map<string, Pair>;

export class PairIndex {
  readonly #byService = new Map<string, Map<string, Map<string, ByHost>>>();
  readonly #most: number;
  /** All that found no room. */
  readonly other = new Pair({ source: OTHER, sourceHost: '', service: OTHER, destinationHost: '' });
  #size = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#size;
  }

  of(names: TrafficPair): Pair {
    const { source, sourceHost, service, destinationHost } = names;
    const known = this.#byService.get(service)?.get(source)?.get(sourceHost)?.get(destinationHost);
    if (known !== undefined) return known;
    if (this.#size >= this.#most) return this.other;
    const pair = new Pair(names);
    const bySource = entryOf(this.#byService, service, () => new Map());
    const byHost = entryOf(bySource, source, () => new Map());
    entryOf(byHost, sourceHost, () => new Map()).set(destinationHost, pair);
    this.#size++;
    return pair;
  }

  *all(): Generator<Pair> {
    for (const bySource of this.#byService.values()) {
      for (const byHost of bySource.values()) for (const pairs of byHost.values()) yield* pairs.values();
    }
    yield this.other;
  }

  /** Lets go of those that the test names. */
  prune(useless: (pair: Pair) => boolean): void {
    for (const [service, bySource] of this.#byService) {
      for (const [source, byHost] of bySource) {
        for (const [host, pairs] of byHost) {
          for (const [key, pair] of pairs) if (useless(pair) && pairs.delete(key)) this.#size--;
          if (pairs.size === 0) byHost.delete(host);
        }
        if (byHost.size === 0) bySource.delete(source);
      }
      if (bySource.size === 0) this.#byService.delete(service);
    }
  }
}
