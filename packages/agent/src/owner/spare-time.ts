/** Work that may take a twentieth of the time: no sooner again than so many times what it took, but for so much of it that was saved up before. */
const SHARE = 20;
const SAVED_MS = 5_000;

export class SpareTime {
  #untilMs = Number.NEGATIVE_INFINITY;

  allows(nowMs: number): boolean {
    return nowMs >= this.#untilMs;
  }

  /** It took so long. */
  spend(tookMs: number, nowMs: number): void {
    // A rest that was not needed may be made up for, not for long.
    this.#untilMs = Math.max(this.#untilMs, nowMs - SAVED_MS) + SHARE * tookMs;
  }
}
