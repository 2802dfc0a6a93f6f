/**
 * The AEADs of OpenSSL, which is in Node's own program, called past node:crypto where this Node brings node:ffi: that makes an
 * object and two buffers for each use, and the copy between them. A thread's own.
 */
import type { KeyObject } from 'node:crypto';
import { endianness } from 'node:os';
import { markAsUntransferable } from 'node:worker_threads';
import { messageOf } from '@weft/proto';
import { nodeFfi } from '@weft/proto/house';
import type { CipherName } from '../../words/cipher-name.ts';

/** What is used of node:ffi, which is experimental. */
interface Ffi {
  dlopen(path: null, definitions: object): { readonly functions: Functions };
  getRawPointer(memory: ArrayBuffer | Uint8Array): bigint;
}

/** From openssl/evp.h; what it answers is 1 where all is well. */
interface Functions {
  EVP_aes_256_gcm(): bigint;
  EVP_chacha20_poly1305(): bigint;
  EVP_CIPHER_CTX_new(): bigint;
  EVP_CIPHER_CTX_free(context: bigint): void;
  EVP_CipherInit_ex(
    context: bigint,
    cipher: bigint,
    engine: bigint,
    key: bigint,
    iv: bigint,
    seals: number,
    unused: number,
  ): number;
  EVP_CipherUpdate(
    context: bigint,
    out: bigint,
    outLength: bigint,
    input: bigint,
    length: number,
    unused: number,
    unusedToo: number,
  ): number;
  EVP_CipherFinal_ex(context: bigint, out: bigint, outLength: bigint): number;
  EVP_CIPHER_CTX_get_params(context: bigint, parameters: bigint): number;
  EVP_CIPHER_CTX_set_params(context: bigint, parameters: bigint): number;
  ERR_clear_error(): void;
}

/**
 * Node calls what has two arguments or seven and more in a fraction of the time that it takes for four to six (0.1 and 0.4 µs, not 0.65). So
 * the two that are called for each record have arguments to spare, which no convention of these systems minds; and a tag goes by parameters.
 */
const DEFINITIONS = {
  EVP_aes_256_gcm: { arguments: [], return: 'u64' },
  EVP_chacha20_poly1305: { arguments: [], return: 'u64' },
  EVP_CIPHER_CTX_new: { arguments: [], return: 'u64' },
  EVP_CIPHER_CTX_free: { arguments: ['u64'], return: 'void' },
  EVP_CipherInit_ex: {
    arguments: ['pointer', 'pointer', 'pointer', 'pointer', 'pointer', 'i32', 'i32'],
    return: 'i32',
  },
  EVP_CipherUpdate: { arguments: ['pointer', 'pointer', 'pointer', 'pointer', 'i32', 'i32', 'i32'], return: 'i32' },
  EVP_CipherFinal_ex: { arguments: ['u64', 'u64', 'u64'], return: 'i32' },
  EVP_CIPHER_CTX_get_params: { arguments: ['u64', 'u64'], return: 'i32' },
  EVP_CIPHER_CTX_set_params: { arguments: ['u64', 'u64'], return: 'i32' },
  ERR_clear_error: { arguments: [], return: 'void' },
};
/** OSSL_PARAM of openssl/core.h, on 64 bits: one, and an empty one behind it. */
const PARAMETER = { type: 8, data: 16, size: 24, octets: 5 };
/** OSSL_CIPHER_PARAM_AEAD_TAG. */
const TAG_NAME = 'tag\0';
/** Of EVP_CipherInit_ex: as it was. */
const UNCHANGED = -1;
const KEY_LENGTH = 32;
const TAG_LENGTH = 16;
const ADDITIONAL_LIMIT = 32;
/** Where things lie in the block that OpenSSL is shown beside what is sealed. */
const PLACE = { key: 0, nonce: 32, additional: 48, tag: 80, length: 96, parameters: 104, name: 184 };
const BLOCK_LENGTH = 192;
/** Greatest length of one call, an int. */
const LONGEST = 0x7fff_ffff;

/** Makes keys, each an InPlaceKey of protocol/noise, and counts those that are not forgotten. */
export class NativeCipher {
  readonly #functions: Functions;
  readonly #ffi: Ffi;
  /** Made once and never freed or moved. */
  readonly #block: Buffer;
  readonly #at: Readonly<Record<keyof typeof PLACE, bigint>>;
  /** Held, lest it be closed. */
  readonly library: object;
  #alive = 0;
  #refused = '';

  constructor(ffi: Ffi) {
    const library = ffi.dlopen(null, DEFINITIONS);
    const block = new ArrayBuffer(BLOCK_LENGTH);
    markAsUntransferable(block);
    this.library = library;
    this.#functions = library.functions;
    this.#ffi = ffi;
    this.#block = Buffer.from(block);
    const first = ffi.getRawPointer(block);
    const at = (place: number): bigint => first + BigInt(place);
    this.#at = {
      key: at(PLACE.key),
      nonce: at(PLACE.nonce),
      additional: at(PLACE.additional),
      tag: at(PLACE.tag),
      length: at(PLACE.length),
      parameters: at(PLACE.parameters),
      name: at(PLACE.name),
    };
    this.#block.write(TAG_NAME, PLACE.name, 'latin1');
    this.#block.writeBigUInt64LE(this.#at.name, PLACE.parameters);
    this.#block.writeUInt32LE(PARAMETER.octets, PLACE.parameters + PARAMETER.type);
    this.#block.writeBigUInt64LE(this.#at.tag, PLACE.parameters + PARAMETER.data);
    this.#block.writeBigUInt64LE(BigInt(TAG_LENGTH), PLACE.parameters + PARAMETER.size);
  }

  /** Keys that are not forgotten. */
  get alive(): number {
    return this.#alive;
  }

  /** What OpenSSL has refused that is no forgery, so that it is not to be asked again; empty where it has refused nothing. */
  get refused(): string {
    return this.#refused;
  }

  readonly newKey = (cipher: CipherName, key: KeyObject, use: 'seal' | 'open'): NativeKey => {
    return new NativeKey(this, cipher, key.export(), use);
  };

  /** A context with the key, whose bytes are wiped. Throws where OpenSSL makes none. */
  newContext(cipher: CipherName, key: Buffer, use: 'seal' | 'open'): bigint {
    try {
      if (key.length !== KEY_LENGTH) throw new RangeError(`a key is ${KEY_LENGTH} bytes, not ${key.length}`);
      const { EVP_CIPHER_CTX_new, EVP_CIPHER_CTX_free, EVP_CipherInit_ex, EVP_aes_256_gcm, EVP_chacha20_poly1305 } =
        this.#functions;
      const algorithm = cipher === 'AESGCM' ? EVP_aes_256_gcm() : EVP_chacha20_poly1305();
      const context = algorithm === 0n ? 0n : EVP_CIPHER_CTX_new();
      if (context === 0n) throw this.#refusal('OpenSSL makes no context for a cipher');
      this.#block.set(key, PLACE.key);
      const made = EVP_CipherInit_ex(context, algorithm, 0n, this.#at.key, 0n, use === 'seal' ? 1 : 0, 0);
      if (made !== 1) {
        EVP_CIPHER_CTX_free(context);
        this.#check(made);
      }
      this.#alive += 1;
      return context;
    } finally {
      key.fill(0);
      this.#block.fill(0, PLACE.key, PLACE.key + KEY_LENGTH);
    }
  }

  /** Wipes what it holds. */
  free(context: bigint): void {
    this.#functions.EVP_CIPHER_CTX_free(context);
    this.#alive -= 1;
  }

  /** The nonce is 32 zero bits, then the counter, as Noise has it for each (section 12). */
  start(context: bigint, cipher: CipherName, counter: number, additional: Uint8Array): void {
    if (additional.length > ADDITIONAL_LIMIT) throw new RangeError(`${additional.length} bytes of additional data`);
    const block = this.#block;
    const [high, low] = [Math.floor(counter / 2 ** 32), counter >>> 0];
    block.writeUInt32BE(0, PLACE.nonce);
    if (cipher === 'AESGCM') {
      block.writeUInt32BE(high, PLACE.nonce + 4);
      block.writeUInt32BE(low, PLACE.nonce + 8);
    } else {
      block.writeUInt32LE(low, PLACE.nonce + 4);
      block.writeUInt32LE(high, PLACE.nonce + 8);
    }
    block.set(additional, PLACE.additional);
    const { EVP_CipherInit_ex } = this.#functions;
    this.#check(EVP_CipherInit_ex(context, 0n, 0n, 0n, this.#at.nonce, UNCHANGED, 0));
    this.#update(context, 0n, this.#at.additional, additional.length);
  }

  /** The pointers are used before this returns, and both memories are held by whoever calls. */
  update(context: bigint, input: Uint8Array, target: Uint8Array, at: number): void {
    const { length } = input;
    if (!(at >= 0 && at + length <= target.length && length <= LONGEST))
      throw new RangeError('bytes that do not fit where they are to go');
    if (length === 0) return;
    const out = this.#ffi.getRawPointer(target) + BigInt(at);
    this.#update(context, out, this.#ffi.getRawPointer(input), length);
  }

  writeTag(context: bigint, target: Uint8Array, at: number): void {
    if (!(at >= 0 && at + TAG_LENGTH <= target.length)) throw new RangeError('a tag that does not fit');
    const { EVP_CipherFinal_ex, EVP_CIPHER_CTX_get_params } = this.#functions;
    this.#check(EVP_CipherFinal_ex(context, this.#at.tag, this.#at.length));
    this.#check(EVP_CIPHER_CTX_get_params(context, this.#at.parameters));
    target.set(this.#block.subarray(PLACE.tag, PLACE.tag + TAG_LENGTH), at);
  }

  proves(context: bigint, tag: Uint8Array): boolean {
    if (tag.length !== TAG_LENGTH) throw new RangeError(`a tag is ${TAG_LENGTH} bytes, not ${tag.length}`);
    const { EVP_CipherFinal_ex, EVP_CIPHER_CTX_set_params } = this.#functions;
    this.#block.set(tag, PLACE.tag);
    this.#check(EVP_CIPHER_CTX_set_params(context, this.#at.parameters));
    if (EVP_CipherFinal_ex(context, this.#at.tag, this.#at.length) === 1) return true;
    this.#functions.ERR_clear_error();
    return false;
  }

  #update(context: bigint, out: bigint, input: bigint, length: number): void {
    const { EVP_CipherUpdate } = this.#functions;
    this.#check(EVP_CipherUpdate(context, out, this.#at.length, input, length, 0, 0));
    if (this.#block.readInt32LE(PLACE.length) !== length) throw this.#refusal('OpenSSL wrote another length');
  }

  #check(answer: number): void {
    if (answer !== 1) throw this.#refusal('OpenSSL refuses to seal or open');
  }

  /** OpenSSL keeps its errors for the thread, and TLS would take one of these for its own. */
  #refusal(message: string): Error {
    this.#functions.ERR_clear_error();
    this.#refused = message;
    return new Error(message);
  }
}

/** One direction's. */
export class NativeKey {
  readonly #owner: NativeCipher;
  readonly #cipher: CipherName;
  /** 0 once it is forgotten. */
  #context: bigint;

  constructor(owner: NativeCipher, cipher: CipherName, key: Buffer, use: 'seal' | 'open') {
    this.#owner = owner;
    this.#cipher = cipher;
    this.#context = owner.newContext(cipher, key, use);
  }

  start(counter: number, additional: Uint8Array): void {
    this.#owner.start(this.#usable(), this.#cipher, counter, additional);
  }

  update(input: Uint8Array, target: Uint8Array, at: number): void {
    this.#owner.update(this.#usable(), input, target, at);
  }

  writeTag(target: Uint8Array, at: number): void {
    this.#owner.writeTag(this.#usable(), target, at);
  }

  proves(tag: Uint8Array): boolean {
    return this.#owner.proves(this.#usable(), tag);
  }

  forget(): void {
    if (this.#context === 0n) return;
    this.#owner.free(this.#context);
    this.#context = 0n;
  }

  #usable(): bigint {
    if (this.#context === 0n) throw new Error('this key was forgotten');
    return this.#context;
  }
}

/** Or why there is none. Whoever takes it compares it with node:crypto first. Each call looks anew. */
export function findCipher(): NativeCipher | string {
  if (endianness() !== 'LE') return 'not known where numbers begin with their high byte';
  try {
    const ffi = nodeFfi<Ffi>();
    return ffi === undefined ? `Node ${process.versions.node} has no node:ffi` : new NativeCipher(ffi);
  } catch (error) {
    // Not permitted, or an OpenSSL that is elsewhere.
    return `node:ffi cannot be used: ${messageOf(error)}`;
  }
}
