/**
 * The newest ended flows of each network, for `weft flows` and the dashboard. A ring: the oldest record makes room for the
 * newest, and a watcher is a place in the ring, not a queue, so that a slow one costs nothing and is told what it missed.
 */
import type { FlowRecord } from '@weft/proto';

export interface FlowFilter {
  /** Only flows whose verdict was deny. */
  readonly denied: boolean;
}

export interface WatchedFlow {
  readonly record: FlowRecord;
  /** Records that passed the filter and were overwritten before this watcher read them, just before this one. */
  readonly missed: number;
}

export interface FlowWindow {
  /**
   * Takes ended flows of one network, oldest first, from the agent on `host`, and how many it lost on the way. When a
   * tunnel breaks, both agents may tell of a flow, for neither knows whether the other still can: the destination's word
   * stands, the source's fills in where there is none.
   */
  add(network: string, host: string, records: readonly FlowRecord[], dropped: number): void;
  /** The newest `limit` of the window that pass the filter, oldest first. */
  recent(network: string, options: FlowFilter & { readonly limit: number }): FlowRecord[];
  /** Each flow that ends from now on. Returns when the signal aborts. */
  follow(network: string, filter: FlowFilter, signal: AbortSignal): AsyncIterable<WatchedFlow>;
  /** Records lost between agents and the window since control started. */
  dropped(network: string): number;
}

export function createFlowWindow(capacity = 10_000): FlowWindow {
  const rings = new Map<string, FlowRing>();
  const ringOf = (network: string): FlowRing => {
    let ring = rings.get(network);
    if (ring === undefined) {
      ring = new FlowRing(capacity);
      rings.set(network, ring);
    }
    return ring;
  };
  return {
    add: (network, host, records, dropped) => ringOf(network).add(host, records, dropped),
    recent: (network, { denied, limit }) => rings.get(network)?.recent(denied, limit) ?? [],
    follow: (network, { denied }, signal) => ringOf(network).follow(denied, signal),
    dropped: (network) => rings.get(network)?.dropped ?? 0,
  };
}

interface Slot {
  readonly record: FlowRecord;
  /** Denied flows before this one since control started: makes the count of missed ones exact under the filter. */
  readonly deniedBefore: number;
}

class FlowRing {
  dropped = 0;
  readonly #capacity: number;
  readonly #slots: Slot[] = [];
  /** Where each flow of the window stands, by `flowKey`. */
  readonly #numbers = new Map<string, number>();
  /** Records ever added; record number n stands in slot n modulo capacity. */
  #added = 0;
  #denied = 0;
  readonly #wakers = new Set<() => void>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  add(host: string, records: readonly FlowRecord[], dropped: number): void {
    this.dropped += dropped;
    for (const record of records) {
      const told = this.#numbers.get(flowKey(record));
      if (told === undefined) this.#append(record);
      else if (record.destinationHost === host) this.#replace(told, record);
    }
    for (const wake of this.#wakers) wake();
  }

  #append(record: FlowRecord): void {
    const place = this.#added % this.#capacity;
    const gone = this.#slots[place];
    if (gone !== undefined) this.#numbers.delete(flowKey(gone.record));
    this.#slots[place] = { record, deniedBefore: this.#denied };
    this.#numbers.set(flowKey(record), this.#added);
    this.#added += 1;
    if (record.verdict === 'deny') this.#denied += 1;
  }

  /** A verdict that differs is told as well, not instead: what a watcher has counted must stay true. */
  #replace(number: number, record: FlowRecord): void {
    const slot = this.#slot(number);
    if (slot.record.verdict === record.verdict) this.#slots[number % this.#capacity] = { ...slot, record };
    else this.#append(record);
  }

  recent(denied: boolean, limit: number): FlowRecord[] {
    const found: FlowRecord[] = [];
    for (let number = this.#added - 1; number >= this.#oldest() && found.length < limit; number -= 1) {
      const { record } = this.#slot(number);
      if (passes(record, denied)) found.push(record);
    }
    return found.reverse();
  }

  async *follow(denied: boolean, signal: AbortSignal): AsyncGenerator<WatchedFlow> {
    let next = this.#added;
    let deniedSeen = this.#denied;
    let missed = 0;
    while (!signal.aborted) {
      const oldest = this.#oldest();
      if (next < oldest) {
        const { deniedBefore } = this.#slot(oldest);
        missed += denied ? deniedBefore - deniedSeen : oldest - next;
        next = oldest;
        deniedSeen = deniedBefore;
      }
      if (next === this.#added) {
        await this.#more(signal);
        continue;
      }
      const { record } = this.#slot(next);
      next += 1;
      if (record.verdict === 'deny') deniedSeen += 1;
      if (!passes(record, denied)) continue;
      yield { record, missed };
      missed = 0;
    }
  }

  #oldest(): number {
    return Math.max(0, this.#added - this.#capacity);
  }

  #slot(number: number): Slot {
    const slot = this.#slots[number % this.#capacity];
    if (slot === undefined) throw new RangeError(`flow ${number} is not in the window`);
    return slot;
  }

  #more(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#wakers.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#wakers.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }
}

/** The id alone would let an agent speak for others' flows: the source chooses it. */
function flowKey({ id, sourceHost, destinationHost }: FlowRecord): string {
  return `${id} ${sourceHost} ${destinationHost}`;
}

function passes(record: FlowRecord, denied: boolean): boolean {
  return !denied || record.verdict === 'deny';
}
