/** Names in directories that may have more than there is time for. */
import { opendirSync } from 'node:fs';

/** Names in one step: one call of the kernel's lists up to 1,365. */
const STEP = 1_024;

/** Of one look: `most` names in all. */
export class Lister {
  #left: number;

  constructor(most: number) {
    this.#left = most;
  }

  /** Names in a directory of `size` of them, as far as is known; undefined where there are more than are left to be listed. Throws as the system does. */
  names(path: string, size: number): readonly string[] | undefined {
    return atOnce(this.slowly(path, size));
  }

  /** As `names`; `cut`: where there are more, the first of them. Yields often. */
  *slowly(path: string, size: number, cut = false): Generator<void, readonly string[] | undefined> {
    if (this.#left === 0 || (size > this.#left && !cut)) return undefined;
    // They may be many by now, or before Linux 6.2: no more are listed than these, and no others in this look.
    const directory = opendirSync(path, { bufferSize: Math.min(this.#left + 1, STEP) });
    try {
      const names: string[] = [];
      for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
        if (names.length === this.#left) {
          this.#left = 0;
          return cut ? names : undefined;
        }
        names.push(entry.name);
        if (names.length % STEP === 0) yield;
      }
      this.#left -= names.length;
      return names;
    } finally {
      directory.closeSync();
    }
  }
}

/** One of the names in a directory, however many there are; undefined where there is none. Throws as the system does. */
export function oneOf(path: string): string | undefined {
  const directory = opendirSync(path, { bufferSize: 1 });
  try {
    return directory.readSync()?.name;
  } finally {
    directory.closeSync();
  }
}

/** What work comes to that yields often, without a rest. */
export function atOnce<T>(work: Generator<void, T>): T {
  for (let step = work.next(); ; step = work.next()) if (step.done) return step.value;
}
