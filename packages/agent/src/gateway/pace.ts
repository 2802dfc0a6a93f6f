/** Whether bytes that somebody waits for move. It is looked at from time to time, so nothing on their way is counted for it. */

/** Of a body, as Apache's mod_reqtimeout has it. */
const LEAST_BYTES_A_SECOND = 500;

export class Pace {
  readonly #windowMs: number;
  #nowMs = 0;
  #bytes = 0;
  /** When bytes were last seen to have moved, and where the time began that is looked back on; undefined while none are waited for. */
  #movedMs = 0;
  #since: { readonly ms: number; readonly bytes: number } | undefined;

  /** Judges by what moved within this time: who was quick once is not quick for ever. */
  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** So many have moved since the connection began, and more are waited for. */
  look(nowMs: number, bytes: number): void {
    if (this.#since === undefined || bytes !== this.#bytes) this.#movedMs = nowMs;
    this.#nowMs = nowMs;
    this.#bytes = bytes;
    const over = this.#since === undefined || nowMs - this.#since.ms > this.#windowMs;
    if (over && this.slowMs === 0) this.#since = { ms: nowMs, bytes };
  }

  /** Nothing is waited for. */
  rest(): void {
    this.#since = undefined;
  }

  /** How long nothing has moved. */
  get stillMs(): number {
    return this.#since === undefined ? 0 : this.#nowMs - this.#movedMs;
  }

  /** For how long less has moved than anyone sends. */
  get slowMs(): number {
    if (this.#since === undefined) return 0;
    const passedMs = this.#nowMs - this.#since.ms;
    return (this.#bytes - this.#since.bytes) * 1_000 < LEAST_BYTES_A_SECOND * passedMs ? passedMs : 0;
  }
}
