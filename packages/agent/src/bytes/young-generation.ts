/**
 * Sealing and opening leave a trail of dead buffers. Their memory lies outside of V8's heap, where V8 sees it grow and
 * answers with full collections on all cores, though nothing of it is old: at full speed these took a third of the
 * processor time. Collecting the young generation in time costs a hundredth of that.
 */

import { passing } from '../words/passing-memory.ts';

/** For a heap as small as an agent's, V8 starts a full collection when some 25 MiB of buffers have come since the last. */
const ENOUGH = 4 * 1024 * 1024;

export class YoungGeneration {
  readonly #collect: (() => void) | undefined;
  readonly #moved: (() => void) | undefined;
  #bytes = 0;
  #passed = 0;

  /** `collect` is undefined where it is left to V8. `moved`: told each time that so many bytes have passed. */
  constructor(collect: (() => void) | undefined, moved?: () => void) {
    this.#collect = collect;
    this.#moved = moved;
  }

  /** Counts bytes that passed in buffers that were made and will soon be dead. */
  allocated(bytes: number): void {
    this.#count(bytes);
    this.#died(bytes);
  }

  /** Counts bytes that passed in memory that is used again, and what was copied of such since. */
  passed(bytes: number): void {
    this.#count(bytes);
    this.#died(0);
  }

  #count(bytes: number): void {
    this.#passed += bytes;
    if (this.#passed < ENOUGH) return;
    this.#passed = 0;
    this.#moved?.();
  }

  #died(bytes: number): void {
    this.#bytes += bytes + passing.bytes;
    passing.bytes = 0;
    if (this.#bytes < ENOUGH) return;
    this.#bytes = 0;
    this.#collect?.();
  }
}
