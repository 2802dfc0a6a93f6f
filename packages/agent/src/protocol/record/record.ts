/** The bytes of a connection as sealed records, both halves. What a record is stands in format.ts. */
import { CipherState, type OneUse, type Sealing, startSeal } from '../noise/cipher.ts';
import { CipherError } from '../noise/errors.ts';
import type { DirectionKeys } from '../noise/session.ts';
import { SMALL_LIMIT, type SmallKey } from '../noise/small-cipher.ts';
import { RecordError } from './errors.ts';
import { HEADER_LENGTH, MAXIMUM_PLAINTEXT, MINIMUM_PLAINTEXT, TAG_LENGTH } from './format.ts';
import { FreshOpening } from './fresh-opening.ts';
import { type InPlace, InPlaceOpening, InPlaceSealing } from './in-place.ts';

/** Up to here a record leaves as one buffer: copying it costs less than three small writes. */
const ONE_BUFFER_LIMIT = 4096;

/** `owned`: the piece may be kept; else it lies in memory that is used again as soon as the call returns. */
type Emit = (piece: Buffer, owned: boolean) => void;

/** The sending half of a connection: plaintext in, records out. Every throw is final: a RecordError, or an Error of `inPlace`. */
export class RecordSealer {
  readonly #state: CipherState;
  readonly #inPlace: InPlaceSealing | undefined;
  #small: SmallKey | undefined;
  #closed: boolean = false;
  #over: boolean = false;
  #records = 0;
  #bytes = 0;

  /** `counter` is that of the first record: 0 for a session's start. `inPlace`: undefined where node:crypto is to seal. */
  constructor(keys: DirectionKeys, counter = 0, inPlace?: InPlace) {
    this.#state = new CipherState(keys.cipher, keys.key, counter);
    this.#inPlace = inPlace && new InPlaceSealing(inPlace);
    this.#small = keys.small;
  }

  /** Records sealed since the last rekey or setKeys: one of the driver's reasons to rekey. */
  get recordsSinceKey(): number {
    return this.#records;
  }

  /** Plaintext bytes sealed since the last rekey or setKeys. */
  get bytesSinceKey(): number {
    return this.#bytes;
  }

  /**
   * Seals the pieces, 1 to 262,144 bytes in all, as one record and emits it, in order. The pieces are used before it
   * returns, so they may lie in a shared read buffer. Sealed in place a record is one emit, in memory that the next one is sealed
   * in; else fresh memory, of up to 4 KiB one emit, and of more a piece for each, without being gathered.
   */
  seal(pieces: readonly Buffer[], emit: Emit): void {
    if (this.#closed || this.#over) throw new RecordError('closed', 'the sealer has failed or was closed before');
    let length = 0;
    for (const piece of pieces) length += piece.length;
    if (length < MINIMUM_PLAINTEXT) throw new RecordError('undersized', 'a record without plaintext');
    if (length > MAXIMUM_PLAINTEXT) throw new RecordError('oversized', `a record of ${length} bytes`);
    // If emit throws, part of the record is lost and the peer can open nothing after it.
    this.#closed = true;
    const small = length <= SMALL_LIMIT ? this.#small : undefined;
    if (small !== undefined) this.#sealSmall(small, pieces, length, emit);
    else if (this.#inPlace !== undefined && length > this.#inPlace.above)
      this.#inPlace.seal(next(this.#state, 'sealed'), pieces, length, (record) => emit(record, false));
    else if (length <= ONE_BUFFER_LIMIT) this.#sealGathered(pieces, length, emit);
    else this.#sealPieces(pieces, length, emit);
    this.#closed = false;
    this.#records += 1;
    this.#bytes += length;
  }

  /** REKEY() for the records from the next one on. The counter goes on. */
  rekey(): void {
    this.#state.rekey();
    this.#inPlace?.forgetKey();
    this.#small = this.#small?.rekeyed();
    this.#records = 0;
    this.#bytes = 0;
  }

  /** The keys of a new handshake, of the same cipher, for the records from the next one on. The counter starts at 0. */
  setKeys(keys: DirectionKeys): void {
    this.#state.initializeKey(keys.key);
    this.#inPlace?.forgetKey();
    this.#small?.forget();
    this.#small = keys.small;
    this.#records = 0;
    this.#bytes = 0;
  }

  /** Seals nothing more. To be called once at the end: keys that seal in place are nobody's to collect. */
  close(): void {
    this.#over = true;
    this.#inPlace?.forgetKey();
  }

  #sealSmall(small: SmallKey, pieces: readonly Buffer[], length: number, emit: Emit): void {
    const record = Buffer.allocUnsafe(HEADER_LENGTH + length + TAG_LENGTH);
    record.writeUInt32BE(length + TAG_LENGTH, 0);
    small.seal(next(this.#state, 'sealed').counter, record.subarray(0, HEADER_LENGTH), pieces, record, HEADER_LENGTH);
    emit(record, true);
  }

  #sealGathered(pieces: readonly Buffer[], length: number, emit: Emit): void {
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
    emit(record, true);
  }

  #sealPieces(pieces: readonly Buffer[], length: number, emit: Emit): void {
    const header = Buffer.allocUnsafe(HEADER_LENGTH);
    header.writeUInt32BE(length + TAG_LENGTH, 0);
    const sealing = this.#start(header, length);
    emit(header, true);
    for (const piece of pieces) {
      if (piece.length > 0) emit(sealing.update(piece), true);
    }
    sealing.final();
    emit(sealing.getAuthTag(), true);
  }

  #start(header: Buffer, length: number): Sealing {
    const { cipher, key, counter } = next(this.#state, 'sealed');
    return startSeal(cipher, key, counter, header, length);
  }
}

/** The counter of the next record, whichever key is for its length: the records of a direction have one order. */
function next(state: CipherState, done: 'sealed' | 'opened'): OneUse {
  try {
    return state.takeNext();
  } catch (cause) {
    // What the cipher says when its key may do no more, in the words of records.
    if (!(cause instanceof CipherError)) throw cause;
    throw new RecordError('exhausted', `this key has ${done} all it may`, { cause });
  }
}

/** Copies the pieces one behind the other, so that the AEAD is called once: a call costs more than copying a small piece. */
function gather(pieces: readonly Buffer[], into: Buffer): Buffer {
  let at = 0;
  for (const piece of pieces) at += piece.copy(into, at);
  return into;
}

/**
 * The receiving half of a connection: bytes in, as they were torn on the way; whole, proven records out. Every throw is
 * final: a RecordError where the sender is at fault, or an Error of `inPlace`. It holds the plaintext of one record at most, and hands out none of it before its tag has proved.
 */
export class RecordOpener {
  /** Plaintext bytes of the next record at most, and so of what is held before its tag has proved it. */
  limit: number = MAXIMUM_PLAINTEXT;
  readonly #state: CipherState;
  #small: SmallKey | undefined;
  readonly #onRecord: (pieces: Buffer[], owned: boolean) => void;
  #closed: boolean = false;

  readonly #header = Buffer.alloc(HEADER_LENGTH);
  #headerHeld = 0;
  readonly #fresh = new FreshOpening();
  readonly #inPlace: InPlaceOpening | undefined;
  /** From a record's header to its tag. */
  #opening: FreshOpening | InPlaceOpening | undefined;
  /** Ciphertext of this record still to arrive. */
  #missing = 0;
  /** Ciphertext and tag of a small record, from its header until it is whole. */
  #smallLength = 0;
  #stage: Buffer | undefined;
  #staged = 0;
  readonly #tag = Buffer.alloc(TAG_LENGTH);
  #tagHeld = 0;

  /**
   * `onRecord` gets each record's plaintext in pieces: where `owned` its own to keep, else in memory that is used again when it
   * returns. It may call rekey, setKeys or close, which hold from the next record on even when that one is in the same chunk;
   * it must not call push. `inPlace`: undefined where node:crypto is to open.
   */
  constructor(
    keys: DirectionKeys,
    onRecord: (pieces: Buffer[], owned: boolean) => void,
    counter = 0,
    inPlace?: InPlace,
  ) {
    this.#state = new CipherState(keys.cipher, keys.key, counter);
    this.#inPlace = inPlace && new InPlaceOpening(inPlace);
    this.#small = keys.small;
    this.#onRecord = onRecord;
  }

  /** Takes the next bytes of the connection. They are used before it returns. What onRecord throws passes through, and closes. */
  push(chunk: Buffer): void {
    if (this.#closed) throw new RecordError('closed', 'the opener has failed or was closed before');
    try {
      let at = 0;
      while (at < chunk.length && !this.#closed) at = this.#step(chunk, at);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** REKEY() for the records from the next one on. The counter goes on. */
  rekey(): void {
    this.#state.rekey();
    this.#inPlace?.forgetKey();
    this.#small = this.#small?.rekeyed();
  }

  /** The keys of a new handshake, of the same cipher, for the records from the next one on. The counter starts at 0. */
  setKeys(keys: DirectionKeys): void {
    this.#state.initializeKey(keys.key);
    this.#inPlace?.forgetKey();
    this.#small?.forget();
    this.#small = keys.small;
  }

  /** Opens nothing more, and lets go of a half-open record. What is left of the chunk in hand is dropped. */
  close(): void {
    this.#closed = true;
    // One that is being handed on is let go of behind that.
    this.#opening?.done();
    this.#opening = undefined;
    this.#inPlace?.forgetKey();
    this.#stage = undefined;
  }

  /** One step of header, ciphertext or tag; returns how far it got. */
  #step(chunk: Buffer, at: number): number {
    if (this.#smallLength > 0 && this.#small !== undefined) return this.#takeSmall(this.#small, chunk, at);
    if (this.#opening === undefined) return this.#takeHeader(chunk, at);
    if (this.#missing > 0) return this.#takeCiphertext(this.#opening, chunk, at);
    return this.#takeTag(this.#opening, chunk, at);
  }

  #takeHeader(chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.#header, this.#headerHeld, at);
    this.#headerHeld += taken;
    if (this.#headerHeld < HEADER_LENGTH) return at + taken;
    const length = this.#header.readUInt32BE(0) - TAG_LENGTH;
    if (length < MINIMUM_PLAINTEXT) throw new RecordError('undersized', 'a record without plaintext');
    if (length > this.limit) throw new RecordError('oversized', `a record of ${length} bytes`);
    this.#headerHeld = 0;
    if (length <= SMALL_LIMIT && this.#small !== undefined) {
      this.#smallLength = length + TAG_LENGTH;
    } else {
      const inPlace = this.#inPlace;
      const opening = inPlace !== undefined && length > inPlace.above ? inPlace : this.#fresh;
      opening.begin(next(this.#state, 'opened'), this.#header, length);
      this.#opening = opening;
      this.#missing = length;
    }
    return at + taken;
  }

  /** A small record is opened whole: out of the chunk, or once it has been gathered. */
  #takeSmall(small: SmallKey, chunk: Buffer, at: number): number {
    const length = this.#smallLength;
    const end = Math.min(chunk.length, at + length - this.#staged);
    let sealed = chunk.subarray(at, end);
    if (sealed.length < length) {
      this.#stage ??= Buffer.allocUnsafe(SMALL_LIMIT + TAG_LENGTH);
      this.#staged += sealed.copy(this.#stage, this.#staged);
      if (this.#staged < length) return end;
      sealed = this.#stage.subarray(0, length);
      this.#staged = 0;
    }
    this.#smallLength = 0;
    const plaintext = small.open(next(this.#state, 'opened').counter, this.#header, sealed);
    if (plaintext === undefined) throw new RecordError('forged', 'a record does not prove itself');
    this.#onRecord([plaintext], true);
    return end;
  }

  #takeCiphertext(opening: FreshOpening | InPlaceOpening, chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#missing);
    this.#missing -= end - at;
    opening.take(chunk.subarray(at, end));
    return end;
  }

  #takeTag(opening: FreshOpening | InPlaceOpening, chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.#tag, this.#tagHeld, at);
    this.#tagHeld += taken;
    if (this.#tagHeld < TAG_LENGTH) return at + taken;
    const pieces = opening.prove(this.#tag);
    if (pieces === undefined) throw new RecordError('forged', 'a record does not prove itself');
    this.#opening = undefined;
    this.#tagHeld = 0;
    try {
      this.#onRecord(pieces, opening.owned);
    } finally {
      opening.done();
    }
    return at + taken;
  }
}
