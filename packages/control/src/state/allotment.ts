/**
 * Addresses of one network, by name (`service/redis`, `instance/redis/0`, `host/build-3`), as offsets into the range.
 *
 * A name that goes away keeps its place for an hour, and gets it back if it returns: a client may hold an answer for the old
 * address, and must not reach another service with it.
 */
import type { AddressRow } from '../store/rows.ts';
import { StateError } from './errors.ts';

export const TOMBSTONE_MS = 3_600_000;

/** Where changes are written to, in the transaction under way. */
export interface AllotmentSink {
  put(name: string, offset: number, releasedMs: number | undefined): void;
  remove(name: string): void;
}

interface Place {
  readonly offset: number;
  readonly releasedMs: number | undefined;
}

export class Allotment {
  readonly #size: number;
  readonly #places = new Map<string, Place>();
  /** Names that went away, in order of release. */
  readonly #released = new Set<string>();
  readonly #taken = new Set<number>();
  /** No place below this one is free, so that the search for the lowest does not start over each time. */
  #lowest = 1;

  /** `rows` come in order of release; `size` is the number of addresses in the range, the first of which is never given. */
  constructor(rows: Iterable<Pick<AddressRow, 'name' | 'place' | 'releasedMs'>>, size: number) {
    this.#size = size;
    for (const { name, place: offset, releasedMs } of rows) {
      this.#places.set(name, { offset, releasedMs });
      this.#taken.add(offset);
      if (releasedMs !== undefined) this.#released.add(name);
    }
  }

  /** The offset of a name that has one now. */
  offset(name: string): number | undefined {
    const place = this.#places.get(name);
    return place?.releasedMs === undefined ? place?.offset : undefined;
  }

  /** The name's offset: the one it has, the one it had a while ago, or the lowest free one. */
  acquire(name: string, nowMs: number, sink: AllotmentSink): number {
    this.#expire(nowMs, sink);
    const held = this.#places.get(name);
    if (held !== undefined && held.releasedMs === undefined) return held.offset;
    const offset = held?.offset ?? this.#takeLowest();
    this.#places.set(name, { offset, releasedMs: undefined });
    this.#released.delete(name);
    sink.put(name, offset, undefined);
    return offset;
  }

  release(name: string, nowMs: number, sink: AllotmentSink): void {
    const held = this.#places.get(name);
    if (held === undefined || held.releasedMs !== undefined) return;
    this.#places.set(name, { offset: held.offset, releasedMs: nowMs });
    this.#released.add(name);
    sink.put(name, held.offset, nowMs);
  }

  /** The place goes on under another name; false where that has, or had a while ago, one of its own, and nothing is done. */
  rename(from: string, to: string, nowMs: number, sink: AllotmentSink): boolean {
    this.#expire(nowMs, sink);
    const held = this.#places.get(from);
    if (held === undefined || held.releasedMs !== undefined || this.#places.has(to)) return false;
    this.#places.delete(from);
    this.#places.set(to, held);
    sink.remove(from);
    sink.put(to, held.offset, undefined);
    return true;
  }

  #expire(nowMs: number, sink: AllotmentSink): void {
    for (const name of this.#released) {
      const place = this.#places.get(name);
      if (place?.releasedMs === undefined || nowMs - place.releasedMs < TOMBSTONE_MS) return;
      this.#released.delete(name);
      this.#places.delete(name);
      this.#taken.delete(place.offset);
      this.#lowest = Math.min(this.#lowest, place.offset);
      sink.remove(name);
    }
  }

  #takeLowest(): number {
    let offset = this.#lowest;
    while (this.#taken.has(offset)) offset++;
    if (offset >= this.#size) {
      throw new StateError(
        'limit',
        'no address is left in the network; remove services or agents, or wait an hour for theirs',
      );
    }
    this.#taken.add(offset);
    this.#lowest = offset + 1;
    return offset;
  }
}
