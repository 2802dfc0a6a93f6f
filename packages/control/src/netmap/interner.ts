/** Carries entries over from one snapshot to the next while what they are made from, or their bytes, stay the same. */
import { type Entry, PeerEntry, type SharedEntry } from './entry.ts';

interface Made<E extends Entry> {
  /** The values it was made from, compared by reference: if all are the same there is nothing to encode. */
  readonly from: readonly unknown[];
  readonly entry: E;
}

export class Interner<E extends SharedEntry | PeerEntry> {
  readonly #made = new Map<string, Made<E>>();
  #before: ReadonlyMap<string, Made<E>>;

  constructor(before: Interner<E> | undefined) {
    this.#before = before === undefined ? new Map() : before.#made;
  }

  /** The entry at `key`: the one before when it is the same, else what `make` gives. */
  keep(key: string, from: readonly unknown[], make: () => E): E {
    const before = this.#before.get(key);
    const entry = before === undefined ? make() : renewed(before, from, make);
    this.#made.set(key, { from, entry });
    return entry;
  }

  /** Lets go of the snapshot before, so that a run of snapshots does not keep every one of them alive. */
  seal(): void {
    this.#before = new Map();
  }
}

function renewed<E extends SharedEntry | PeerEntry>(before: Made<E>, from: readonly unknown[], make: () => E): E {
  if (before.from.every((value, index) => value === from[index])) return before.entry;
  const entry = make();
  return Buffer.compare(plainBytes(before.entry), plainBytes(entry)) === 0 ? before.entry : entry;
}

function plainBytes(entry: SharedEntry | PeerEntry): Uint8Array {
  return entry instanceof PeerEntry ? entry.bareBytes() : entry.bytes();
}
