/**
 * Values on their way to one receiver, in order: one is out, and those that come meanwhile merge into one that waits. So a
 * receiver that is slow, or stuck, costs the memory of one merged value, and hears the newest state next.
 */
export class MergingFeed<Value> {
  readonly #send: (value: Value) => Promise<void>;
  readonly #merge: (before: Value, after: Value) => Value;
  #out: boolean = false;
  #refused: boolean = false;
  #waiting: { value: Value; readonly settled: PromiseWithResolvers<void> } | undefined;

  /** `send` resolves when the receiver is done with the value. `merge` answers what has the effect of both, in turn. */
  constructor(send: (value: Value) => Promise<void>, merge: (before: Value, after: Value) => Value) {
    this.#send = send;
    this.#merge = merge;
  }

  /** Whether the receiver is done with all. Never again once it has failed at one: what it has by then nobody knows. */
  get idle(): boolean {
    return !this.#out && this.#waiting === undefined && !this.#refused;
  }

  /** Settles as the sending of the value, or of what it was merged into, does. Values settle in their order. */
  push(value: Value): Promise<void> {
    if (this.#waiting === undefined) this.#waiting = { value, settled: Promise.withResolvers() };
    else this.#waiting.value = this.#merge(this.#waiting.value, value);
    const { promise } = this.#waiting.settled;
    this.#next();
    return promise;
  }

  #next(): void {
    if (this.#out || this.#waiting === undefined) return;
    const { value, settled } = this.#waiting;
    this.#waiting = undefined;
    this.#out = true;
    // One that failed is its pusher's to tell; the next goes on.
    this.#send(value)
      .then(settled.resolve, (cause: unknown) => {
        this.#refused = true;
        settled.reject(cause);
      })
      .finally(() => {
        this.#out = false;
        this.#next();
      });
  }
}
