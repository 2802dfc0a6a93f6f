import type { KeyObject } from 'node:crypto';
import { type CipherName, CipherState, type Sealing } from '../noise/cipher.ts';
import { CipherError } from '../noise/errors.ts';
import { RecordError } from './errors.ts';
import { HEADER_LENGTH, MAXIMUM_PLAINTEXT, MINIMUM_PLAINTEXT, TAG_LENGTH } from './format.ts';

/** Up to here a record leaves as one buffer: copying it costs less than three small writes. */
const ONE_BUFFER_LIMIT = 4096;

/** The sending half of a connection: plaintext in, records out. Every throw is a RecordError and final. */
export class RecordSealer {
  readonly #state: CipherState;
  #closed: boolean = false;
  #records = 0;
  #bytes = 0;

  /** `counter` is that of the first record: 0 for a session's start. */
  constructor(cipher: CipherName, key: KeyObject, counter = 0) {
    this.#state = new CipherState(cipher, key, counter);
  }

  /** Records sealed since the last rekey or setKey: one of the driver's reasons to rekey. */
  get recordsSinceKey(): number {
    return this.#records;
  }

  /** Plaintext bytes sealed since the last rekey or setKey. */
  get bytesSinceKey(): number {
    return this.#bytes;
  }

  /**
   * Seals the pieces, 1 to 262,144 bytes in all, as one record and emits it, in order. The pieces are used before it
   * returns, so they may lie in a shared read buffer. What is emitted is fresh memory. A record of up to 4 KiB is one
   * emit; a larger one is sealed piece by piece without being gathered.
   */
  seal(pieces: readonly Buffer[], emit: (piece: Buffer) => void): void {
    if (this.#closed) throw new RecordError('closed', 'the sealer has failed before');
    let length = 0;
    for (const piece of pieces) length += piece.length;
    if (length < MINIMUM_PLAINTEXT) throw new RecordError('undersized', 'a record without plaintext');
    if (length > MAXIMUM_PLAINTEXT) throw new RecordError('oversized', `a record of ${length} bytes`);
    // If emit throws, part of the record is lost and the peer can open nothing after it.
    this.#closed = true;
    if (length <= ONE_BUFFER_LIMIT) this.#sealGathered(pieces, length, emit);
    else this.#sealPieces(pieces, length, emit);
    this.#closed = false;
    this.#records += 1;
    this.#bytes += length;
  }

  /** REKEY() for the records from the next one on. The counter goes on. */
  rekey(): void {
    this.#state.rekey();
    this.#records = 0;
    this.#bytes = 0;
  }

  /** The key of a new handshake for the records from the next one on. The counter starts at 0. */
  setKey(key: KeyObject): void {
    this.#state.initializeKey(key);
    this.#records = 0;
    this.#bytes = 0;
  }

  #sealGathered(pieces: readonly Buffer[], length: number, emit: (piece: Buffer) => void): void {
    const record = Buffer.allocUnsafe(HEADER_LENGTH + length + TAG_LENGTH);
    record.writeUInt32BE(length + TAG_LENGTH, 0);
    const end = HEADER_LENGTH + length;
    const plaintext =
      (pieces.length === 1 ? pieces[0] : undefined) ?? gather(pieces, record.subarray(HEADER_LENGTH, end));
    const sealing = this.#start(record.subarray(0, HEADER_LENGTH), length);
    // The ciphertext takes the place of the gathered plaintext.
    record.set(sealing.update(plaintext), HEADER_LENGTH);
    sealing.final();
    record.set(sealing.getAuthTag(), end);
    emit(record);
  }

  #sealPieces(pieces: readonly Buffer[], length: number, emit: (piece: Buffer) => void): void {
    const header = Buffer.allocUnsafe(HEADER_LENGTH);
    header.writeUInt32BE(length + TAG_LENGTH, 0);
    const sealing = this.#start(header, length);
    emit(header);
    for (const piece of pieces) {
      if (piece.length > 0) emit(sealing.update(piece));
    }
    sealing.final();
    emit(sealing.getAuthTag());
  }

  #start(header: Buffer, length: number): Sealing {
    try {
      return this.#state.startSeal(header, length);
    } catch (cause) {
      if (!(cause instanceof CipherError)) throw cause;
      throw new RecordError('exhausted', 'this key has sealed all it may', cause);
    }
  }
}

/** Copies the pieces one behind the other, so that the AEAD is called once: a call costs more than copying a small piece. */
function gather(pieces: readonly Buffer[], into: Buffer): Buffer {
  let at = 0;
  for (const piece of pieces) at += piece.copy(into, at);
  return into;
}
