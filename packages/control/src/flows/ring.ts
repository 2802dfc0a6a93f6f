/**
 * The newest flows of one network, in memory: for those who follow, and to tell a flow that both its ends report. The oldest
 * record makes room for the newest, and a watcher is a place in the ring, not a queue: a slow one costs nothing, and is told
 * exactly what it missed.
 */

import { hash, randomBytes } from 'node:crypto';
import { compileFilter, type FlowFilter, type FlowRecord, OUTCOMES } from '@weft/proto';
import { shapeKey } from './packing.ts';
import type { KeptFlow, WatchedFlow } from './types.ts';

/** Told of each record as it is taken; answers where the new one stands. */
export interface RingSink {
  added(record: FlowRecord): number;
  replaced(cursor: number, record: FlowRecord): void;
}

/** Whether a source may say that the flow was denied there later than its destination knows. */
export type Confirms = (source: FlowRecord, destination: FlowRecord) => boolean;

interface Watcher {
  readonly passes: ReturnType<typeof compileFilter>;
  /** Number of the record to look at next. */
  next: number;
  missed: number;
  wake: (() => void) | undefined;
}

export class FlowRing {
  dropped = 0;
  readonly #capacity: number;
  readonly #sink: RingSink;
  readonly #confirms: Confirms;
  readonly #slots: KeptFlow[] = [];
  /** Where each flow of the ring stands, by `flowKey`. */
  readonly #numbers = new Map<string, number>();
  /** Records ever taken; record number n stands in slot n modulo capacity. */
  #added = 0;
  readonly #known: ResendMemory;
  readonly #watchers = new Set<Watcher>();
  #over: boolean = false;

  /** `known`: how many records to know again, more than are held. */
  constructor(capacity: number, sink: RingSink, confirms: Confirms, known: () => number = () => 0) {
    this.#capacity = capacity;
    this.#sink = sink;
    this.#confirms = confirms;
    this.#known = new ResendMemory(known);
  }

  add(host: string, records: readonly FlowRecord[], dropped: number): void {
    this.dropped += dropped;
    for (const record of records) {
      const told = this.#numbers.get(flowKey(record));
      if (this.#known.sees(record)) continue;
      if (told === undefined) this.#append({ record, cursor: this.#sink.added(record) });
      else {
        const { record: before } = this.#slot(told);
        const isOfDestination = record.destinationHost === host;
        const [source, destination] = isOfDestination ? [before, record] : [record, before];
        const both = joined(source, destination, this.#confirms);
        if (isOfDestination || both !== before) this.#replace(told, both);
      }
    }
    for (const { wake } of this.#watchers) wake?.();
  }

  /** A record of before a restart; nobody watches yet, and the disk has it. */
  restore(flow: KeptFlow): void {
    this.#known.sees(flow.record);
    this.#append(flow);
  }

  /** The place to follow from is taken in this call, not when the first record is asked for. */
  follow(filter: FlowFilter, signal: AbortSignal): AsyncIterable<WatchedFlow> {
    const watcher: Watcher = { passes: compileFilter(filter), next: this.#added, missed: 0, wake: undefined };
    this.#watchers.add(watcher);
    // Also when nobody ever asks for the first record.
    const leave = (): void => void this.#watchers.delete(watcher);
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
    return this.#watch(watcher, signal, leave);
  }

  /** Of who called, as far as it was looked up. */
  users(): ReadonlySet<string> {
    const users = new Set(this.#slots.map(({ record }) => record.user));
    users.delete('');
    return users;
  }

  /** Nothing comes any more. */
  end(): void {
    this.#over = true;
    for (const { wake } of this.#watchers) wake?.();
  }

  async *#watch(watcher: Watcher, signal: AbortSignal, leave: () => void): AsyncGenerator<WatchedFlow> {
    try {
      while (!signal.aborted) {
        if (watcher.next === this.#added) {
          if (this.#over) return;
          await more(watcher, signal);
          continue;
        }
        const { record, cursor } = this.#slot(watcher.next);
        watcher.next += 1;
        if (!watcher.passes(record)) continue;
        const { missed } = watcher;
        watcher.missed = 0;
        yield { record, cursor, missed };
      }
    } finally {
      leave();
      signal.removeEventListener('abort', leave);
    }
  }

  #append(flow: KeptFlow): void {
    const place = this.#added % this.#capacity;
    const gone = this.#slots[place];
    if (gone !== undefined) this.#forget(gone.record, this.#added - this.#capacity);
    this.#slots[place] = flow;
    this.#numbers.set(flowKey(flow.record), this.#added);
    this.#added += 1;
  }

  #forget(record: FlowRecord, number: number): void {
    const key = flowKey(record);
    // A flow whose verdict was told anew stands further on, too.
    if (this.#numbers.get(key) === number) this.#numbers.delete(key);
    for (const watcher of this.#watchers) {
      if (watcher.next > number) continue;
      watcher.next = number + 1;
      if (watcher.passes(record)) watcher.missed += 1;
    }
  }

  /** A verdict that differs is told as well, not instead: what a watcher has counted must stay true. */
  #replace(number: number, record: FlowRecord): void {
    const { record: told, cursor } = this.#slot(number);
    if (told.verdict !== record.verdict) {
      this.#append({ record, cursor: this.#sink.added(record) });
      return;
    }
    this.#slots[number % this.#capacity] = { record, cursor };
    this.#sink.replaced(cursor, record);
  }

  #slot(number: number): KeptFlow {
    const slot = this.#slots[number % this.#capacity];
    if (slot === undefined) throw new RangeError(`flow ${number} is not in the window`);
    return slot;
  }
}

/**
 * One record of both: the destination's, which knows what passed. But of a flow that failed before its caller had an answer
 * only the source knows: there it was taken, and ended as any does. And a denial that cut it at its source first stands, with what
 * decided it, where the destination saw the caller go and control knows of that denial. No source tells away what was decided or failed there.
 */
function joined(source: FlowRecord, destination: FlowRecord, confirms: Confirms): FlowRecord {
  const { verdict, outcome } = destination;
  const ordinary = verdict === 'allow' && !OUTCOMES[outcome].failed;
  if (!ordinary) return destination;
  if (OUTCOMES[source.outcome].fault) return { ...destination, outcome: source.outcome, detail: source.detail };
  if (source.verdict === 'allow' || source.outcome !== 'cut' || !confirms(source, destination)) return destination;
  const { rule, revision, detail } = source;
  return { ...destination, verdict: source.verdict, rule, revision, outcome: source.outcome, detail };
}

function more(watcher: Watcher, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      watcher.wake = undefined;
      signal.removeEventListener('abort', done);
      resolve();
    };
    watcher.wake = done;
    signal.addEventListener('abort', done, { once: true });
  });
}

/** The id alone would let an agent speak for others' flows: the source chooses it. */
function flowKey({ id, sourceHost, destinationHost }: FlowRecord): string {
  return `${id} ${sourceHost} ${destinationHost}`;
}

/** 72 bits, of a hash that nobody outside can compute. */
const DIGITS = 12;

/**
 * Knows a record again that was told before in the same words: an agent sends again what it does not know to be taken. Only
 * the same words count. Whoever begins a flow chooses its identifier, and could otherwise hide one flow behind another.
 */
class ResendMemory {
  /** The most records to know; may change from one call to the next. */
  readonly #most: () => number;
  readonly #secret = randomBytes(16).toString('base64url');
  /** When the newer is half of all, it becomes the older: so at least half of `most` are known, and no order is kept. */
  #newer = new Set<string>();
  #older = new Set<string>();

  constructor(most: () => number) {
    this.#most = most;
  }

  /** Whether it was seen before; from now on it was. */
  sees(record: FlowRecord): boolean {
    const half = this.#most() / 2;
    if (half < 1) return false;
    const digest = this.#digest(record);
    if (this.#newer.has(digest) || this.#older.has(digest)) return true;
    if (this.#newer.size >= half) {
      this.#older = this.#newer;
      this.#newer = new Set();
    }
    this.#newer.add(digest);
    return false;
  }

  #digest(record: FlowRecord): string {
    const { id, startedMs, durationMs, revision, bytesSent, bytesReceived, detail } = record;
    const numbers = `${startedMs} ${durationMs} ${revision} ${bytesSent} ${bytesReceived}`;
    // No text of a record holds a control character: the wire's reader sees to it.
    const words = `${this.#secret}\n${id}\n${numbers}\n${detail}\n${shapeKey('', record)}`;
    return hash('sha256', words, 'base64url').slice(0, DIGITS);
  }
}
