/** Bounds what strangers can hold open: streams that have not proved who they are yet, in all and from one address. */
export class Admission {
  readonly #most: number;
  readonly #mostOfOne: number;
  readonly #open = new Map<string, number>();
  #count = 0;

  constructor(most = 4_096, mostOfOne = 1_024) {
    this.#most = most;
    this.#mostOfOne = mostOfOne;
  }

  /** Takes a place; undefined when there is none. What it gives is called once the stream has proved itself or ended. */
  enter(host: string): (() => void) | undefined {
    const ofOne = this.#open.get(host) ?? 0;
    if (this.#count >= this.#most || ofOne >= this.#mostOfOne) return undefined;
    this.#count += 1;
    this.#open.set(host, ofOne + 1);
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      this.#leave(host);
    };
  }

  #leave(host: string): void {
    this.#count -= 1;
    const left = (this.#open.get(host) ?? 1) - 1;
    if (left === 0) this.#open.delete(host);
    else this.#open.set(host, left);
  }
}
