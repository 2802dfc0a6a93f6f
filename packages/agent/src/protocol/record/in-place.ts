/**
 * Records sealed and opened in memory that is used again and again: none leaves a dead buffer behind, nor meets memory that the
 * system has to clear first, while no more than FREE_BLOCKS are under way at once. Whoever is handed bytes from here uses them
 * before it returns.
 */
import { free } from '../../words/passing-memory.ts';
import type { OneUse } from '../noise/cipher.ts';
import { type InPlaceKey, LateKey, type NewInPlaceKey } from '../noise/in-place.ts';
import { HEADER_LENGTH, MAXIMUM_PLAINTEXT, TAG_LENGTH } from './format.ts';

/**
 * Plaintext bytes up to which a record is left to node:crypto: what many small messages share, whose pieces are then theirs to keep.
 */
export const SHORT_RECORD = 16 * 1024;

/**
 * Of what is free so many are kept, 4 MiB: as many records that come in parts make nothing anew. A record has
 * a whole block from its first ciphertext to its end, however slowly it comes: what a peer can hold is bounded by its tunnels.
 */
const FREE_BLOCKS = 16;
/** Bytes of a piece up to which a call costs more than copying. */
const COPY_LIMIT = 4096;

/** What the records of a thread share. */
export class InPlace {
  readonly newKey: NewInPlaceKey;
  /** Records of more plaintext bytes than this are made here. */
  readonly above: number;
  readonly #free: Buffer<ArrayBuffer>[] = [];

  constructor(newKey: NewInPlaceKey, above = SHORT_RECORD) {
    this.newKey = newKey;
    this.above = above;
  }

  /** For one record, until it is given back: a tunnel may run over a stream of another, and both seal in one turn. */
  take(): Buffer<ArrayBuffer> {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(HEADER_LENGTH + MAXIMUM_PLAINTEXT + TAG_LENGTH);
  }

  giveBack(block: Buffer<ArrayBuffer>): void {
    if (this.#free.length < FREE_BLOCKS) this.#free.push(block);
    else free(block);
  }
}

export class InPlaceSealing {
  readonly above: number;
  readonly #inPlace: InPlace;
  readonly #key: LateKey;

  constructor(inPlace: InPlace) {
    this.#inPlace = inPlace;
    this.above = inPlace.above;
    this.#key = new LateKey(inPlace.newKey, 'seal');
  }

  /** Emits the record of the pieces, `length` bytes in all and MAXIMUM_PLAINTEXT at most. */
  seal(
    { cipher, key, counter }: OneUse,
    pieces: readonly Buffer[],
    length: number,
    emit: (record: Buffer) => void,
  ): void {
    const block = this.#inPlace.take();
    try {
      const record = block.subarray(0, HEADER_LENGTH + length + TAG_LENGTH);
      record.writeUInt32BE(length + TAG_LENGTH, 0);
      const aead = this.#key.of(cipher, key);
      aead.start(counter, record.subarray(0, HEADER_LENGTH));
      sealPieces(aead, pieces, record);
      emit(record);
    } finally {
      this.#inPlace.giveBack(block);
    }
  }

  /** To be called before another key is used, and at the end. */
  forgetKey(): void {
    this.#key.forget();
  }
}

/** From where they lie; those that are small from where the record lies. */
function sealPieces(aead: InPlaceKey, pieces: readonly Buffer[], record: Buffer): void {
  let from = HEADER_LENGTH;
  let at = HEADER_LENGTH;
  const sealCopied = (): void => {
    if (at > from) aead.update(record.subarray(from, at), record, from);
    from = at;
  };
  for (const piece of pieces) {
    if (piece.length <= COPY_LIMIT) {
      at += piece.copy(record, at);
      continue;
    }
    sealCopied();
    aead.update(piece, record, at);
    at += piece.length;
    from = at;
  }
  sealCopied();
  aead.writeTag(record, at);
}

export class InPlaceOpening {
  readonly owned = false;
  readonly above: number;
  readonly #inPlace: InPlace;
  readonly #key: LateKey;
  #aead: InPlaceKey | undefined;
  #block: Buffer<ArrayBuffer> | undefined;
  #length = 0;
  /** Opened up to here; from here to `#filled` lies ciphertext. */
  #opened = 0;
  #filled = 0;

  constructor(inPlace: InPlace) {
    this.#inPlace = inPlace;
    this.above = inPlace.above;
    this.#key = new LateKey(inPlace.newKey, 'open');
  }

  begin({ cipher, key, counter }: OneUse, header: Buffer, length: number): void {
    this.#aead = this.#key.of(cipher, key);
    this.#aead.start(counter, header);
    this.#length = length;
    this.#opened = 0;
    this.#filled = 0;
  }

  /** Ciphertext, `length` bytes of it in all. */
  take(part: Buffer): void {
    // Not before: a header alone would hold it for nothing.
    this.#block ??= this.#inPlace.take();
    const { aead, block } = this.#begun();
    if (part.length <= COPY_LIMIT) {
      this.#filled += part.copy(block, this.#filled);
      return;
    }
    this.#openFilled(aead, block);
    aead.update(part, block, this.#opened);
    this.#opened += part.length;
    this.#filled = this.#opened;
  }

  /** The plaintext, until `done`; undefined where the tag does not prove it. */
  prove(tag: Buffer): Buffer[] | undefined {
    const { aead, block } = this.#begun();
    this.#openFilled(aead, block);
    return aead.proves(tag) ? [block.subarray(0, this.#length)] : undefined;
  }

  /** The record's plaintext is used, or wanted no more. */
  done(): void {
    if (this.#block !== undefined) this.#inPlace.giveBack(this.#block);
    this.#block = undefined;
    this.#aead = undefined;
  }

  /** To be called before another key is used, and at the end. */
  forgetKey(): void {
    this.#key.forget();
  }

  #openFilled(aead: InPlaceKey, block: Buffer): void {
    if (this.#filled > this.#opened) aead.update(block.subarray(this.#opened, this.#filled), block, this.#opened);
    this.#opened = this.#filled;
  }

  #begun(): { readonly aead: InPlaceKey; readonly block: Buffer } {
    if (this.#aead === undefined || this.#block === undefined) throw new Error('no record was begun');
    return { aead: this.#aead, block: this.#block };
  }
}
