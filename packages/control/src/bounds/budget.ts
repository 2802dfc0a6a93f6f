/** Bytes that many may hold together, and each of them alone: what is unproved must not fill the memory, nor one address all of it. */
export class ByteBudget {
  readonly #most: number;
  readonly #mostOfOne: number;
  readonly #held = new Map<string, number>();
  #total = 0;

  constructor(most: number, mostOfOne: number) {
    this.#most = most;
    this.#mostOfOne = mostOfOne;
  }

  get total(): number {
    return this.#total;
  }

  /** Whether this one has no share left for so many. */
  overShare(who: string, bytes: number): boolean {
    return (this.#held.get(who) ?? 0) + bytes > this.#mostOfOne;
  }

  /** Whether all together have no room for so many, whoever asks. */
  crowded(bytes: number): boolean {
    return this.#total + bytes > this.#most;
  }

  /** False when there is no room; then nothing is taken. */
  take(who: string, bytes: number): boolean {
    const held = (this.#held.get(who) ?? 0) + bytes;
    if (held > this.#mostOfOne || this.crowded(bytes)) return false;
    this.#held.set(who, held);
    this.#total += bytes;
    return true;
  }

  giveBack(who: string, bytes: number): void {
    const left = (this.#held.get(who) ?? 0) - bytes;
    this.#total -= bytes;
    if (left > 0) this.#held.set(who, left);
    else this.#held.delete(who);
  }
}
