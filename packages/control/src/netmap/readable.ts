/** Views for agents of an older version: the same parts, without what those cannot read. */
import { entryOf, VOCABULARY, type Vocabulary, wholeFrom } from '@weft/proto';
import type { Part } from './agent-view.ts';
import type { Entry } from './entry.ts';

export class ReadableParts {
  readonly #words: Vocabulary;
  readonly #wholeFrom: number;
  /** By capability. An entry is made once for each, so that comparing two views is comparing references here too. */
  readonly #entries = new Map<number, WeakMap<Entry, Entry | Nothing>>();
  readonly #parts = new Map<number, WeakMap<Part, Part>>();

  constructor(words: Vocabulary = VOCABULARY) {
    this.#words = words;
    this.#wholeFrom = wholeFrom(words);
  }

  /** The same part where there is nothing in it that an agent of this capability cannot read. */
  of(part: Part, capability: number): Part {
    if (capability >= this.#wholeFrom) return part;
    return entryOf(
      entryOf(this.#parts, capability, () => new WeakMap()),
      part,
      () => this.#make(part, capability),
    );
  }

  #make(part: Part, capability: number): Part {
    const made = new Map<string, Entry>();
    let same = true;
    for (const [key, entry] of part) {
      const readable = this.#readable(entry, capability);
      same &&= readable === entry;
      if (readable !== NOTHING) made.set(key, readable);
    }
    return same ? part : made;
  }

  #readable(entry: Entry, capability: number): Entry | Nothing {
    const known = entryOf(this.#entries, capability, () => new WeakMap());
    return entryOf(known, entry, () => entry.readableAt(capability, this.#words) ?? NOTHING);
  }
}

const NOTHING = Symbol('nothing');
type Nothing = typeof NOTHING;
