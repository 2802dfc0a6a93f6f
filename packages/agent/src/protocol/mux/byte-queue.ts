/**
 * Bytes that wait, in order. Small pieces are copied into blocks: otherwise a peer could pin a 256 KiB record, or make
 * a Buffer object, for each byte it sends, and a byte bound would bound nothing.
 */
import { copyOfLent } from '../../words/passing-memory.ts';

const BLOCK = 16 * 1024;
/** The first block after another piece; each next one doubles. Small and large pieces in turn must not cost a BLOCK a turn. */
const FIRST_BLOCK = 1024;
/** Below this a copy costs less than one more piece. */
const SMALL = 4 * 1024;

export class ByteQueue {
  /** Bytes waiting. */
  length = 0;
  #pieces: Buffer[] = [];
  #head = 0;
  /** Block that the last piece is the filled end of; undefined when the last piece is no block. */
  #block: Buffer | undefined;
  #blockStart = 0;
  #blockEnd = 0;

  get pieces(): number {
    return this.#pieces.length - this.#head;
  }

  push(piece: Buffer, owned: boolean): void {
    if (piece.length === 0) return;
    this.length += piece.length;
    if (piece.length < SMALL) {
      this.#pushSmall(piece);
      return;
    }
    // An owned piece that is less than half of its memory would keep more alive than the bound counts.
    const compact = owned && piece.length * 2 >= piece.buffer.byteLength;
    this.#pieces.push(compact ? piece : copyOfLent(piece));
    this.#block = undefined;
  }

  #pushSmall(piece: Buffer): void {
    const block = this.#block;
    if (block !== undefined && this.#head < this.#pieces.length && this.#blockEnd + piece.length <= block.length) {
      this.#blockEnd += piece.copy(block, this.#blockEnd);
      this.#pieces[this.#pieces.length - 1] = block.subarray(this.#blockStart, this.#blockEnd);
      return;
    }
    // A first piece gets a block of its own size: a queue of one short message should cost little.
    const alone = this.#head === this.#pieces.length;
    const next = Math.max(piece.length, FIRST_BLOCK, Math.min(2 * (block?.length ?? 0), BLOCK));
    const fresh = Buffer.allocUnsafeSlow(alone ? piece.length : next);
    this.#blockStart = 0;
    this.#blockEnd = piece.copy(fresh);
    this.#block = fresh;
    this.#pieces.push(fresh.subarray(0, this.#blockEnd));
  }

  /** The next bytes that lie together, at most `maximum`; undefined when nothing waits. */
  shift(maximum: number): Buffer | undefined {
    const piece = this.#pieces[this.#head];
    if (piece === undefined) return undefined;
    if (piece.length > maximum) {
      this.#pieces[this.#head] = piece.subarray(maximum);
      if (this.#head === this.#pieces.length - 1) this.#blockStart += maximum;
      this.length -= maximum;
      return piece.subarray(0, maximum);
    }
    this.#head += 1;
    if (this.#head === this.#pieces.length) this.clear();
    else {
      this.length -= piece.length;
      this.#compact();
    }
    return piece;
  }

  clear(): void {
    this.#pieces = [];
    this.#head = 0;
    this.#block = undefined;
    this.length = 0;
  }

  /** Lets go of pieces taken, at a cost that is constant for each over time. */
  #compact(): void {
    this.#pieces[this.#head - 1] = Buffer.alloc(0);
    if (this.#head < 32 || this.#head * 2 < this.#pieces.length) return;
    this.#pieces = this.#pieces.slice(this.#head);
    this.#head = 0;
  }
}
