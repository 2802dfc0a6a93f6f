/** How much one agent may have control do: much at once, less for long. */
export class Allowance {
  readonly #burst: number;
  readonly #perMs: number;
  #left: number;
  #atMs: number;

  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst;
    this.#perMs = perSecond / 1_000;
    this.#left = burst;
    this.#atMs = nowMs;
  }

  /** Takes `cost`, which may be more than there is, and says how many milliseconds pay it back; 0 when nothing is owed. */
  spend(cost: number, nowMs: number): number {
    // A clock that was set back gives nothing and takes nothing.
    const elapsed = Math.max(0, nowMs - this.#atMs);
    this.#atMs = nowMs;
    this.#left = Math.min(this.#burst, this.#left + elapsed * this.#perMs) - cost;
    return this.#left >= 0 ? 0 : Math.ceil(-this.#left / this.#perMs);
  }
}
