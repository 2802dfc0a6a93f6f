/**
 * Bounds the ordinary lines of a log that one peer can cause. They are no complaints, so each is wanted until they are too many: everyone has MOST
 * lines, and one more each REFILL_MS. Who was seen the longest ago is forgotten where more than REMEMBERED are known.
 */
const MOST = 20;
const REFILL_MS = 3_000;
const REMEMBERED = 4_096;

const NONE = {};

interface Account {
  /** That it still has, in parts. */
  readonly lines: number;
  readonly at: number;
  readonly suppressed: number;
}

export class LineLimit {
  readonly #now: () => number;
  /** Seen the longest ago first. */
  readonly #accounts = new Map<string, Account>();

  /** `now` in milliseconds of any clock; one that is set back refills nothing. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Fields for a line of `whose`, a kind and a peer: how many were left out before it. Undefined where it is to be left out, too. */
  take(whose: string): { readonly suppressed?: number } | undefined {
    const at = this.#now();
    const before = this.#accounts.get(whose) ?? { lines: MOST, at, suppressed: 0 };
    const lines = Math.min(MOST, before.lines + Math.max(0, at - before.at) / REFILL_MS);
    const spare = lines >= 1;
    this.#accounts.delete(whose);
    const [oldest] = this.#accounts.keys();
    if (oldest !== undefined && this.#accounts.size >= REMEMBERED) this.#accounts.delete(oldest);
    const { suppressed } = before;
    this.#accounts.set(
      whose,
      spare ? { lines: lines - 1, at, suppressed: 0 } : { lines, at, suppressed: suppressed + 1 },
    );
    if (!spare) return undefined;
    return suppressed === 0 ? NONE : { suppressed };
  }
}
