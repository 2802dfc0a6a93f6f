/**
 * One network's traffic by pair. Each flow is told by one agent, the one that will record it, but the flows of a pair are told
 * by either of its ends: what is shown of a pair is the sum of its shares, of which there are two at most.
 */
import { byText, entryOf, type PairTraffic, type Telemetry, type TrafficPair } from '@weft/proto';
import { NOTHING_MOVES, ratesOf, type Share, sameRates, statusOf } from './share.ts';
import type { TrafficStatus } from './types.ts';

/** Pairs that one agent may hold for nothing but a denial. */
const MOST_DENIED_OF_ONE = 1_000;
const DENIAL_MS = 300_000;
/** Four times an agent's interval: it is connected, but says nothing, and what it said is no news any more. */
const SILENT_MS = 20_000;
/** What is over is looked for no more often than this. */
const SWEEP_MS = 1_000;

export const NO_TRAFFIC: readonly TrafficStatus[] = [];

interface Pair {
  readonly key: string;
  readonly pair: TrafficPair;
  /** By the host that tells. */
  readonly shares: Map<string, Share>;
  /** Undefined when a share has changed since it was made. */
  status: TrafficStatus | undefined;
}

/** What one agent tells. */
interface Teller {
  heardMs: number;
  silent: boolean;
  round: number;
  omitted: number;
  /** In the order in which they came; by key. */
  readonly pairs: Map<string, Pair>;
}

export class NetworkTraffic {
  readonly #mostPairs: number;
  readonly #pairs = new Map<string, Pair>();
  readonly #tellers = new Map<string, Teller>();
  /** Sorted; undefined when pairs came or went. */
  #order: readonly Pair[] | undefined = [];
  /** Undefined when anything differs from it. */
  #listed: readonly TrafficStatus[] | undefined = NO_TRAFFIC;
  #nextSweepMs = 0;

  constructor(mostPairs: number) {
    this.#mostPairs = mostPairs;
  }

  get empty(): boolean {
    return this.#tellers.size === 0;
  }

  get omitted(): number {
    let sum = 0;
    for (const { omitted } of this.#tellers.values()) sum += omitted;
    return sum;
  }

  take(host: string, telemetry: Telemetry, nowMs: number): void {
    this.#sweep(nowMs);
    const teller = entryOf(this.#tellers, host, newTeller);
    teller.heardMs = nowMs;
    teller.silent = false;
    teller.round += 1;
    let leftOut = 0;
    for (const told of telemetry.pairs) {
      if (told.sourceHost !== host && told.destinationHost !== host) continue;
      if (!this.#put(host, teller, told, telemetry.intervalMs, nowMs)) leftOut += 1;
    }
    teller.omitted = telemetry.pairsOmitted + leftOut;
    this.#drop(host, teller, (share) => share.round !== teller.round);
  }

  forget(host: string, nowMs: number): void {
    this.#sweep(nowMs);
    const teller = this.#tellers.get(host);
    if (teller === undefined) return;
    teller.omitted = 0;
    // It tells nothing that could go stale.
    teller.silent = true;
    this.#drop(host, teller, () => true);
    if (teller.pairs.size === 0) this.#tellers.delete(host);
  }

  list(nowMs: number): readonly TrafficStatus[] {
    this.#sweep(nowMs);
    this.#order ??= [...this.#pairs.values()].sort(byPair);
    this.#listed ??= this.#order.map((pair) => {
      pair.status ??= statusOf(pair.pair, pair.shares.values());
      return pair.status;
    });
    return this.#listed;
  }

  /** False when there is no room for it. */
  #put(host: string, teller: Teller, told: PairTraffic, intervalMs: number, nowMs: number): boolean {
    const key = keyOf(told);
    const pair = this.#pairs.get(key) ?? this.#make(key, told);
    if (pair === undefined) return false;
    const before = pair.shares.get(host);
    // Told twice in one telemetry: an honest agent does not, and of one that does the last word stands.
    const denial = told.lastDenied === undefined ? before?.denial : { ...told.lastDenied, atMs: nowMs };
    const share: Share = { rates: ratesOf(told, intervalMs), denial, round: teller.round };
    pair.shares.set(host, share);
    teller.pairs.set(key, pair);
    if (before === undefined || !sameRates(before.rates, share.rates) || before.denial !== denial) {
      this.#changed(pair);
    }
    return true;
  }

  #make(key: string, { source, sourceHost, service, destinationHost }: TrafficPair): Pair | undefined {
    if (this.#pairs.size >= this.#mostPairs) return undefined;
    const pair: Pair = {
      key,
      pair: { source, sourceHost, service, destinationHost },
      shares: new Map(),
      status: undefined,
    };
    this.#pairs.set(key, pair);
    this.#order = undefined;
    return pair;
  }

  /** Of the shares that `over` names nothing is left but their denials, and of those the newest. */
  #drop(host: string, teller: Teller, over: (share: Share) => boolean): void {
    const denied: Pair[] = [];
    for (const pair of teller.pairs.values()) {
      const share = pair.shares.get(host);
      if (share === undefined || !over(share)) continue;
      if (share.denial === undefined) {
        this.#remove(host, teller, pair);
        continue;
      }
      denied.push(pair);
      if (share.rates === NOTHING_MOVES) continue;
      pair.shares.set(host, { ...share, rates: NOTHING_MOVES });
      this.#changed(pair);
    }
    if (denied.length <= MOST_DENIED_OF_ONE) return;
    const age = (pair: Pair): number => pair.shares.get(host)?.denial?.atMs ?? 0;
    denied.sort((one, other) => age(one) - age(other));
    for (const pair of denied.slice(0, -MOST_DENIED_OF_ONE)) this.#remove(host, teller, pair);
  }

  #remove(host: string, teller: Teller, pair: Pair): void {
    teller.pairs.delete(pair.key);
    pair.shares.delete(host);
    if (pair.shares.size === 0) {
      this.#pairs.delete(pair.key);
      this.#order = undefined;
    }
    this.#changed(pair);
  }

  #changed(pair: Pair): void {
    pair.status = undefined;
    this.#listed = undefined;
  }

  /** What has become old by itself. */
  #sweep(nowMs: number): void {
    // A clock that was set back must not put it off.
    if (nowMs < this.#nextSweepMs && nowMs >= this.#nextSweepMs - SWEEP_MS) return;
    this.#nextSweepMs = nowMs + SWEEP_MS;
    for (const [host, teller] of this.#tellers) {
      if (!teller.silent && nowMs - teller.heardMs > SILENT_MS) this.#silence(host, teller);
      for (const pair of teller.pairs.values()) this.#endDenial(host, teller, pair, nowMs);
      if (teller.silent && teller.pairs.size === 0) this.#tellers.delete(host);
    }
  }

  /** Its flows may still be there; that they move cannot be known. */
  #silence(host: string, teller: Teller): void {
    teller.silent = true;
    teller.omitted = 0;
    this.#drop(host, teller, ({ rates }) => rates.open === 0);
    for (const pair of teller.pairs.values()) {
      const share = pair.shares.get(host);
      if (share === undefined || share.rates === NOTHING_MOVES) continue;
      pair.shares.set(host, { ...share, rates: { ...NOTHING_MOVES, open: share.rates.open } });
      this.#changed(pair);
    }
  }

  #endDenial(host: string, teller: Teller, pair: Pair, nowMs: number): void {
    const share = pair.shares.get(host);
    if (share?.denial === undefined || nowMs - share.denial.atMs <= DENIAL_MS) return;
    if (share.rates === NOTHING_MOVES) {
      this.#remove(host, teller, pair);
      return;
    }
    pair.shares.set(host, { ...share, denial: undefined });
    this.#changed(pair);
  }
}

function newTeller(): Teller {
  return { heardMs: 0, silent: false, round: 0, omitted: 0, pairs: new Map() };
}

/** No name holds a control character: the wire sees to it. */
function keyOf({ source, sourceHost, service, destinationHost }: TrafficPair): string {
  return `${source}\n${sourceHost}\n${service}\n${destinationHost}`;
}

function byPair({ pair: one }: Pair, { pair: other }: Pair): number {
  return (
    byText(one.source, other.source) ||
    byText(one.sourceHost, other.sourceHost) ||
    byText(one.service, other.service) ||
    byText(one.destinationHost, other.destinationHost)
  );
}
