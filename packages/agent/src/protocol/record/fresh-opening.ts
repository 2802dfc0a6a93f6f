/** Records opened by node:crypto: each part of one becomes a buffer of its own, for whoever gets it to keep. */
import { type OneUse, type Opening, startOpen } from '../noise/cipher.ts';

/** Ciphertext that arrives in smaller bits is gathered first, so that a record torn into bytes is not 262,144 buffers. */
const SMALL_PART = 1024;
const STAGE_LENGTH = 4096;

export class FreshOpening {
  readonly owned = true;
  #opening: Opening | undefined;
  #missing = 0;
  #pieces: Buffer[] = [];
  #stage: Buffer | undefined;
  #staged = 0;

  begin({ cipher, key, counter }: OneUse, header: Buffer, length: number): void {
    this.#opening = startOpen(cipher, key, counter, header, length);
    this.#missing = length;
  }

  /** Ciphertext, `length` bytes of it in all. */
  take(part: Buffer): void {
    const opening = this.#begun();
    this.#missing -= part.length;
    if (part.length < SMALL_PART && (this.#staged > 0 || this.#missing > 0)) {
      this.#stage ??= Buffer.allocUnsafe(STAGE_LENGTH);
      this.#staged += part.copy(this.#stage, this.#staged);
      if (this.#missing === 0 || this.#staged > STAGE_LENGTH - SMALL_PART) this.#openStaged(opening);
    } else {
      this.#openStaged(opening);
      this.#pieces.push(opening.update(part));
    }
  }

  /** The plaintext; undefined where the tag does not prove it. */
  prove(tag: Buffer): Buffer[] | undefined {
    const opening = this.#begun();
    try {
      opening.setAuthTag(tag);
      opening.final();
    } catch {
      return undefined;
    }
    return this.#pieces;
  }

  /** The record's plaintext is handed on, or wanted no more. */
  done(): void {
    this.#opening = undefined;
    this.#pieces = [];
    this.#staged = 0;
  }

  #openStaged(opening: Opening): void {
    if (this.#stage === undefined || this.#staged === 0) return;
    this.#pieces.push(opening.update(this.#stage.subarray(0, this.#staged)));
    this.#staged = 0;
  }

  #begun(): Opening {
    if (this.#opening === undefined) throw new Error('no record was begun');
    return this.#opening;
  }
}
