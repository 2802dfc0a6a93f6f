/** Work that may take a twentieth of the time: no sooner again than so many times what it took, but for so much of it that was saved up before. */
const SHARE = 20;
const SAVED_MS = 5_000;

export class SpareTime {
  readonly #savedMs: number;
  #untilMs = Number.NEGATIVE_INFINITY;

  /** A rest may be made up for that was so long. */
  constructor(savedMs: number = SAVED_MS) {
    this.#savedMs = savedMs;
  }

  allows(nowMs: number): boolean {
    return nowMs >= this.#untilMs;
  }

  /** How long it does not, from now on. */
  restMs(nowMs: number): number {
    return Math.max(0, this.#untilMs - nowMs);
  }

  /** Nothing is allowed before. */
  restUntil(ms: number): void {
    this.#untilMs = Math.max(this.#untilMs, ms);
  }

  /** It took so long. */
  spend(tookMs: number, nowMs: number): void {
    // A rest that was not needed may be made up for, not for long.
    this.#untilMs = Math.max(this.#untilMs, nowMs - this.#savedMs) + SHARE * tookMs;
  }
}
