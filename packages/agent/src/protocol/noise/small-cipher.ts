/**
 * ChaCha20-Poly1305 (RFC 8439) for what is small, by libsodium in WebAssembly: a call makes no object of OpenSSL's, which for
 * 64 bytes costs several times the AEAD itself. Constant in time on every machine. docs/decisions/0048-small-records.md has the figures.
 */
import type { Sodium } from 'libsodium';
import { KEY_LENGTH, TAG_LENGTH } from './cipher.ts';

/** Plaintext bytes up to which a record or a packet is small. Both ends go by the length alone: it is part of the protocol. */
export const SMALL_LIMIT = 1024;

const ADDITIONAL_LIMIT = 16;
/** Where things lie in the one block of WebAssembly's memory that is ours; the key is at its start. */
const NONCE_AT = 32;
const ADDITIONAL_AT = 48;
const DATA_AT = 64;
const BLOCK_LENGTH = DATA_AT + SMALL_LIMIT + TAG_LENGTH;
const NOTHING = Buffer.alloc(0);
const NO_KEY = Buffer.alloc(KEY_LENGTH);

let engine: Engine | undefined;

/** To be awaited before the first key is used. Rejects where there is no WebAssembly. */
export async function loadSmallCipher(): Promise<void> {
  if (engine !== undefined) return;
  const { default: instantiate } = await import('libsodium');
  engine ??= new Engine(await instantiate());
}

/** The key of one direction and one use; 32 bytes, which lie in WebAssembly's memory during a call only. */
export class SmallKey {
  readonly #bytes: Buffer;
  #forgotten: boolean = false;

  /** Takes the bytes over: they are its own from now on, and wiped when nobody holds the key any more. */
  constructor(bytes: Buffer) {
    if (bytes.length !== KEY_LENGTH) throw new Error(`a key is ${KEY_LENGTH} bytes, not ${bytes.length}`);
    this.#bytes = bytes;
    wiping.register(this, bytes);
  }

  /**
   * ENCRYPT(k, counter, additional, pieces), ciphertext and tag, into `target` from `at`. The pieces are at most SMALL_LIMIT
   * bytes in all, the additional data at most 16; the counter is below 2^53.
   */
  seal(counter: number, additional: Buffer, pieces: readonly Buffer[], target: Buffer, at: number): void {
    const ready = loaded();
    const length = ready.seal(this.#usable(), Math.floor(counter / 2 ** 32), counter >>> 0, additional, pieces);
    ready.copyData(target, at, length);
  }

  /**
   * DECRYPT(k, counter, additional, sealed), of ciphertext and tag, at the start of `target` or in fresh memory; undefined where it does not prove
   * itself, and then nothing is written.
   */
  open(counter: number, additional: Buffer, sealed: Buffer, target?: Buffer): Buffer | undefined {
    const ready = loaded();
    if (!ready.open(this.#usable(), Math.floor(counter / 2 ** 32), counter >>> 0, additional, sealed)) return undefined;
    const length = sealed.length - TAG_LENGTH;
    const plaintext = target?.subarray(0, length) ?? Buffer.allocUnsafe(length);
    ready.copyData(plaintext, 0, plaintext.length);
    return plaintext;
  }

  /** REKEY(k): the first 32 bytes of ENCRYPT(k, 2^64 - 1, zerolen, zeros) (Noise section 4.2). This one is wiped. */
  rekeyed(): SmallKey {
    const ready = loaded();
    ready.seal(this.#usable(), 0xffffffff, 0xffffffff, NOTHING, [Buffer.alloc(KEY_LENGTH)]);
    const next = Buffer.alloc(KEY_LENGTH);
    ready.copyData(next, 0, KEY_LENGTH);
    // The library leaves key stream on its stack: the same once more writes over it.
    ready.seal(NO_KEY, 0, 0, NOTHING, [NO_KEY]);
    this.forget();
    return new SmallKey(next);
  }

  /** Wipes the bytes; nothing is sealed or opened after it. */
  forget(): void {
    this.#forgotten = true;
    this.#bytes.fill(0);
  }

  /** A copy of the bytes, as a KeyObject gives its own. */
  export(): Buffer {
    return Buffer.from(this.#usable());
  }

  #usable(): Buffer {
    if (this.#forgotten) throw new Error('this key was forgotten');
    return this.#bytes;
  }
}

const wiping = new FinalizationRegistry<Buffer>((bytes) => bytes.fill(0));

function loaded(): Engine {
  if (engine === undefined) throw new Error('loadSmallCipher was not awaited');
  return engine;
}

/** libsodium and the block. Nothing that is called here asks for memory, so that it stays where it is. */
class Engine {
  readonly #sodium: Sodium;
  readonly #heap: Buffer;
  readonly #block: number;
  readonly #data: number;

  constructor(sodium: Sodium) {
    this.#sodium = sodium;
    this.#block = sodium._malloc(BLOCK_LENGTH);
    this.#data = this.#block + DATA_AT;
    this.#heap = Buffer.from(sodium.HEAPU8.buffer);
  }

  /** Leaves ciphertext and tag as the data; answers their length. */
  seal(key: Buffer, high: number, low: number, additional: Buffer, pieces: readonly Buffer[]): number {
    const block = this.#block;
    const data = this.#data;
    let length = 0;
    for (const piece of pieces) {
      if (length + piece.length > SMALL_LIMIT) throw new Error(`over ${SMALL_LIMIT} bytes to be sealed as small`);
      length += piece.copy(this.#heap, data + length);
    }
    this.#prepare(key, high, low, additional);
    const nonce = block + NONCE_AT;
    const ad = block + ADDITIONAL_AT;
    const { _crypto_aead_chacha20poly1305_ietf_encrypt: encrypt } = this.#sodium;
    encrypt(data, 0, data, length, 0, ad, additional.length, 0, 0, nonce, block);
    this.#forgetKey();
    return length + TAG_LENGTH;
  }

  /** Leaves the plaintext as the data, or zeros and answers false. */
  open(key: Buffer, high: number, low: number, additional: Buffer, sealed: Buffer): boolean {
    const block = this.#block;
    const data = this.#data;
    if (sealed.length < TAG_LENGTH || sealed.length > SMALL_LIMIT + TAG_LENGTH) return false;
    sealed.copy(this.#heap, data);
    this.#prepare(key, high, low, additional);
    const nonce = block + NONCE_AT;
    const ad = block + ADDITIONAL_AT;
    const { _crypto_aead_chacha20poly1305_ietf_decrypt: decrypt } = this.#sodium;
    const result = decrypt(data, 0, 0, data, sealed.length, 0, ad, additional.length, 0, nonce, block);
    this.#forgetKey();
    return result === 0;
  }

  copyData(target: Buffer, at: number, length: number): void {
    this.#heap.copy(target, at, this.#data, this.#data + length);
  }

  /** The nonce is 32 zero bits, then 64 bits, little-endian (Noise section 12). */
  #prepare(key: Buffer, high: number, low: number, additional: Buffer): void {
    if (additional.length > ADDITIONAL_LIMIT) throw new Error(`${additional.length} bytes of additional data`);
    const block = this.#block;
    key.copy(this.#heap, block);
    this.#heap.writeUInt32LE(0, block + NONCE_AT);
    this.#heap.writeUInt32LE(low, block + NONCE_AT + 4);
    this.#heap.writeUInt32LE(high, block + NONCE_AT + 8);
    additional.copy(this.#heap, block + ADDITIONAL_AT);
  }

  #forgetKey(): void {
    this.#heap.fill(0, this.#block, this.#block + KEY_LENGTH);
  }
}
