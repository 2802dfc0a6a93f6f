/** The ports that a program of this host was last seen to hold on every address: it will want them so again. */

export class SeenWildcards {
  /** When each was last seen so, on the caller's clock; of a run before this one, minus infinity. Keys are such as 6379/tcp. */
  readonly #seenMs: Map<string, number>;
  readonly #keep: (ports: readonly string[]) => void;

  /** `keep` is given all of them whenever their set changed. */
  constructor(before: Iterable<string> = [], keep: (ports: readonly string[]) => void = () => {}) {
    this.#seenMs = new Map(Array.from(before, (port) => [port, Number.NEGATIVE_INFINITY]));
    this.#keep = keep;
  }

  /** Undefined for a port that was not, or that was last seen held on one address. */
  seenMs(port: string): number | undefined {
    return this.#seenMs.get(port);
  }

  /** Somebody listens on the port now: on every address, or on some. */
  note(port: string, wildcard: boolean, nowMs: number): void {
    const known = this.#seenMs.has(port);
    if (wildcard) this.#seenMs.set(port, nowMs);
    else this.#seenMs.delete(port);
    if (known !== wildcard) this.#keep([...this.#seenMs.keys()]);
  }
}
