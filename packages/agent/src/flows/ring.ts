/** A bounded queue over one array: pushing over the bound forgets the oldest. No shifting, however long it is. */
export class Ring<Value> {
  readonly #slots: (Value | undefined)[] = [];
  readonly #capacity: number;
  #head = 0;
  #size = 0;

  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1)
      throw new RangeError(`a ring holds at least one value, not ${capacity}`);
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#size;
  }

  /** Answers whether the oldest value was forgotten for it. */
  push(value: Value): boolean {
    this.#slots[(this.#head + this.#size) % this.#capacity] = value;
    if (this.#size < this.#capacity) {
      this.#size++;
      return false;
    }
    this.#head = (this.#head + 1) % this.#capacity;
    return true;
  }

  /** Removes and answers up to `count` of the oldest, oldest first. */
  take(count: number): Value[] {
    const taken: Value[] = [];
    while (taken.length < count && this.#size > 0) {
      taken.push(this.#slots[this.#head] as Value);
      this.#slots[this.#head] = undefined;
      this.#head = (this.#head + 1) % this.#capacity;
      this.#size--;
    }
    return taken;
  }

  /** Puts the newest of these in front of the queue, as many as there is room for. Answers how many. */
  putBack(values: readonly Value[]): number {
    const kept = Math.min(values.length, this.#capacity - this.#size);
    for (let index = values.length - 1; index >= values.length - kept; index--) {
      this.#head = (this.#head + this.#capacity - 1) % this.#capacity;
      this.#slots[this.#head] = values[index];
      this.#size++;
    }
    return kept;
  }

  toArray(): Value[] {
    return Array.from(
      { length: this.#size },
      (_, index) => this.#slots[(this.#head + index) % this.#capacity] as Value,
    );
  }
}
