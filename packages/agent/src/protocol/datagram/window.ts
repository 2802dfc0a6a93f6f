/** Counters behind the highest that are still accepted. */
export const WINDOW_SIZE = 2048;

const WORD_BITS = 32;
/** One word more than the window, so that a whole word can be cleared ahead while all 2,048 stay exact (RFC 6479). */
const WORDS = WINDOW_SIZE / WORD_BITS + 1;

/**
 * Sliding replay window of RFC 6479: a ring of words, cleared a word at a time as the highest counter moves on, never
 * shifted. Takes each counter once, in any order within 2,048 of the highest.
 */
export class ReplayWindow {
  readonly #words = new Uint32Array(WORDS);
  /** The next counter above all that were accepted. */
  #next = 0;

  /** Whether this counter was not seen and is not too old. Changes nothing, so that a forged packet cannot move the window. */
  isFresh(counter: number): boolean {
    if (counter >= this.#next) return true;
    if (this.#next - counter > WINDOW_SIZE) return false;
    return ((this.#words[wordOf(counter) % WORDS] ?? 0) & bitOf(counter)) === 0;
  }

  /** Marks a counter whose packet has proved itself. To be asked `isFresh` first. */
  accept(counter: number): void {
    const word = wordOf(counter);
    if (counter >= this.#next) {
      const previous = this.#next === 0 ? -1 : wordOf(this.#next - 1);
      // A jump over the whole ring clears it once, however far it goes.
      for (let clear = Math.max(previous + 1, word - WORDS + 1); clear <= word; clear++) this.#words[clear % WORDS] = 0;
      this.#next = counter + 1;
    }
    this.#words[word % WORDS] = (this.#words[word % WORDS] ?? 0) | bitOf(counter);
  }
}

/** Counters go past 2^32, where bit operators would cut them. */
function wordOf(counter: number): number {
  return Math.floor(counter / WORD_BITS);
}

function bitOf(counter: number): number {
  return 1 << (counter % WORD_BITS);
}
