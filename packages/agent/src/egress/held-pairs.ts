/** UDP pairs of one sandbox, each of which holds two files: beyond their bound the longest idle makes room. */

interface HeldPair {
  /** When its last datagram came, either way. */
  readonly usedMs: number;
  close(detail?: string): void;
}

/** One that had a datagram within this time is in use. */
const IN_USE_MS = 1_000;

export class HeldPairs {
  readonly #pairs = new Set<HeldPair>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#pairs.size;
  }

  add(_service: string, pair: HeldPair): void {
    this.#pairs.add(pair);
  }

  remove(_service: string, pair: HeldPair): void {
    this.#pairs.delete(pair);
  }

  /** False where all are in use. */
  makeRoom(): boolean {
    if (this.#pairs.size < this.#most) return true;
    let idlest: HeldPair | undefined;
    for (const pair of this.#pairs) if (pair.usedMs < (idlest?.usedMs ?? Infinity)) idlest = pair;
    if (idlest === undefined || performance.now() - idlest.usedMs < IN_USE_MS) return false;
    idlest.close('idle, and made room for another');
    return true;
  }

  closeAll(detail: string): void {
    for (const pair of [...this.#pairs]) pair.close(detail);
  }
}
