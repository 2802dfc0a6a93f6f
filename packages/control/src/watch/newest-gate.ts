/** Lets what one agent says through at a bounded pace: the first at once, and of those that follow too soon the newest. */

export class NewestGate<Value extends object> {
  readonly #paceMs: number;
  readonly #pass: (value: Value) => void;
  #held: Value | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(paceMs: number, pass: (value: Value) => void) {
    this.#paceMs = paceMs;
    this.#pass = pass;
  }

  offer(value: Value): void {
    if (this.#timer !== undefined) {
      this.#held = value;
      return;
    }
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const held = this.#held;
      this.#held = undefined;
      if (held !== undefined) this.offer(held);
    }, this.#paceMs).unref();
    this.#pass(value);
  }

  /** Lets nothing more through. */
  close(): void {
    clearTimeout(this.#timer);
    this.#held = undefined;
  }
}
