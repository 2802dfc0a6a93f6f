/**
 * Bytes that wait, in order. Small pieces are copied into blocks: otherwise a peer could pin a 256 KiB record, or make
 * a Buffer object, for each byte it sends, and a byte bound would bound nothing. Larger ones are copied alone where they are lent, and
 * behind a long queue. Those, and blocks of several, are freed when they have been used: what a slow reader lets wait is no garbage afterwards.
 */
import { copyApart, free, passing } from '../../words/passing-memory.ts';

const BLOCK = 16 * 1024;
/** The first block after another piece; each next one doubles. Small and large pieces in turn must not cost a BLOCK a turn. */
const FIRST_BLOCK = 1024;
/** Below this a copy costs less than one more piece. */
const SMALL = 4 * 1024;
/**
 * What comes behind so many bytes waits for a slow reader, and is copied though it may be kept: by the time that it leaves it is old
 * to V8, which collects such when tens of megabytes of it have come.
 */
const LONG = 256 * 1024;

/** A piece of it. */
interface Waiting {
  bytes: Buffer;
  /** Memory that it alone lies in, to be freed. */
  readonly copy: Buffer<ArrayBuffer> | undefined;
}

const TAKEN: Waiting = { bytes: Buffer.alloc(0), copy: undefined };

export class ByteQueue {
  /** Bytes waiting. */
  length = 0;
  /** Whether what was shifted last is its taker's to keep; else it is to be used before `free`. */
  owned: boolean = true;
  #waiting: Waiting[] = [];
  #head = 0;
  /** Block that the last piece is the filled end of; undefined when the last piece is no block. */
  #block: Buffer<ArrayBuffer> | undefined;
  #blockStart = 0;
  #blockEnd = 0;
  /** Copies of which nothing waits any more. */
  #used: Buffer<ArrayBuffer>[] = [];
  /** What the first copy that waits lies in, while a part of it that was shifted is in use. */
  #inUse: Buffer<ArrayBuffer> | undefined;

  get pieces(): number {
    return this.#waiting.length - this.#head;
  }

  push(piece: Buffer, owned: boolean): void {
    if (piece.length === 0) return;
    this.length += piece.length;
    if (piece.length < SMALL) {
      this.#pushSmall(piece);
      return;
    }
    // An owned piece that is less than half of its memory would keep more alive than the bound counts.
    const kept = owned && this.length <= LONG && piece.length * 2 >= piece.buffer.byteLength;
    const copy = kept ? undefined : copyApart(piece);
    this.#waiting.push({ bytes: copy ?? piece, copy });
    this.#block = undefined;
  }

  #pushSmall(piece: Buffer): void {
    const block = this.#block;
    const last = this.#waiting.at(-1);
    if (block !== undefined && last !== undefined && this.pieces > 0 && this.#blockEnd + piece.length <= block.length) {
      this.#blockEnd += piece.copy(block, this.#blockEnd);
      last.bytes = block.subarray(this.#blockStart, this.#blockEnd);
      return;
    }
    // A first piece gets a block of its own size, which is its taker's: a queue of one short message should cost little.
    const alone = this.pieces === 0;
    const next = Math.max(piece.length, FIRST_BLOCK, Math.min(2 * (block?.length ?? 0), BLOCK));
    const fresh = Buffer.allocUnsafeSlow(alone ? piece.length : next);
    if (alone) passing.bytes += piece.length;
    this.#blockStart = 0;
    this.#blockEnd = piece.copy(fresh);
    this.#block = fresh;
    this.#waiting.push({ bytes: fresh.subarray(0, this.#blockEnd), copy: alone ? undefined : fresh });
  }

  /** The next bytes that lie together, at most `maximum`; undefined when nothing waits. */
  shift(maximum: number): Buffer | undefined {
    const first = this.#waiting[this.#head];
    if (first === undefined) return undefined;
    const { bytes, copy } = first;
    this.owned = copy === undefined;
    if (bytes.length > maximum) {
      first.bytes = bytes.subarray(maximum);
      if (this.pieces === 1) this.#blockStart += maximum;
      this.length -= maximum;
      this.#inUse = copy;
      return bytes.subarray(0, maximum);
    }
    if (copy !== undefined) this.#used.push(copy);
    this.#head += 1;
    this.length -= bytes.length;
    if (this.#head === this.#waiting.length) this.#forget();
    else this.#compact();
    return bytes;
  }

  /** What was shifted is used. */
  free(): void {
    this.#inUse = undefined;
    if (this.#used.length === 0) return;
    for (const copy of this.#used) free(copy);
    this.#used = [];
  }

  /** Drops what waits. What was shifted stays until `free`. */
  clear(): void {
    for (const { copy } of this.#waiting.slice(this.#head)) {
      if (copy === undefined) continue;
      if (copy === this.#inUse) this.#used.push(copy);
      else free(copy);
    }
    this.#forget();
  }

  #forget(): void {
    this.#waiting = [];
    this.#head = 0;
    this.#block = undefined;
    this.length = 0;
  }

  /** Lets go of pieces taken, at a cost that is constant for each over time. */
  #compact(): void {
    this.#waiting[this.#head - 1] = TAKEN;
    if (this.#head < 32 || this.#head * 2 < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#head);
    this.#head = 0;
  }
}
