/**
 * The two AEADs of Noise section 12, on node:crypto. Keys are KeyObjects: a createCipheriv with raw key bytes costs about
 * four times one with a KeyObject, and a KeyObject cannot slip into a log.
 */
import {
  type CipherChaCha20Poly1305,
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type DecipherChaCha20Poly1305,
  type DecipherGCM,
  type KeyObject,
} from 'node:crypto';
import type { CipherName } from '../../words/cipher-name.ts';
import { CipherError } from './errors.ts';

export type { CipherName };

export const KEY_LENGTH = 32;
export const TAG_LENGTH = 16;
/**
 * Messages under one key at most. Noise allows 2^64 - 1; this one stays exact in a double, and at a million messages a
 * second is reached after nine years.
 */
export const COUNTER_LIMIT = 2 ** 48;

const NONCE_LENGTH = 12;
const OPTIONS = { authTagLength: TAG_LENGTH };

/** What one message is sealed or opened under. */
export interface OneUse {
  readonly cipher: CipherName;
  readonly key: KeyObject;
  readonly counter: number;
}

export type Sealing = CipherGCM | CipherChaCha20Poly1305;
export type Opening = DecipherGCM | DecipherChaCha20Poly1305;

/**
 * Starts ENCRYPT(k, n, ad, plaintext) with the plaintext to follow by `update`, then `final` and `getAuthTag`.
 * `additional` is used before it returns; `length` is the plaintext's, in bytes.
 */
export function startSeal(
  cipher: CipherName,
  key: KeyObject,
  counter: number,
  additional: Uint8Array,
  length: number,
): Sealing {
  const sealing = sealingOf(cipher, key, nonceOf(cipher, Math.floor(counter / 2 ** 32), counter >>> 0));
  sealing.setAAD(additional, { plaintextLength: length });
  return sealing;
}

/** Starts DECRYPT(k, n, ad, ciphertext): `update` as bytes arrive, then `setAuthTag` and `final`, which throws on a forgery. */
export function startOpen(
  cipher: CipherName,
  key: KeyObject,
  counter: number,
  additional: Uint8Array,
  length: number,
): Opening {
  const nonce = nonceOf(cipher, Math.floor(counter / 2 ** 32), counter >>> 0);
  const opening =
    cipher === 'AESGCM'
      ? createDecipheriv('aes-256-gcm', key, nonce, OPTIONS)
      : createDecipheriv('chacha20-poly1305', key, nonce, OPTIONS);
  opening.setAAD(additional, { plaintextLength: length });
  return opening;
}

/** REKEY(k): the first 32 bytes of ENCRYPT(k, 2^64 - 1, zerolen, zeros) (Noise section 4.2). */
export function rekeyed(cipher: CipherName, key: KeyObject): KeyObject {
  const sealing = sealingOf(cipher, key, nonceOf(cipher, 0xffffffff, 0xffffffff));
  const bytes = sealing.update(Buffer.alloc(KEY_LENGTH));
  sealing.final();
  return takeKey(bytes);
}

function sealingOf(cipher: CipherName, key: KeyObject, nonce: Buffer): Sealing {
  return cipher === 'AESGCM'
    ? createCipheriv('aes-256-gcm', key, nonce, OPTIONS)
    : createCipheriv('chacha20-poly1305', key, nonce, OPTIONS);
}

/** Moves raw key bytes into a KeyObject, and wipes them. */
export function takeKey(bytes: Buffer): KeyObject {
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

/** 32 zero bits, then the 64-bit counter: big-endian for AESGCM, little-endian for ChaChaPoly (Noise section 12). */
function nonceOf(cipher: CipherName, high: number, low: number): Buffer {
  const nonce = Buffer.allocUnsafe(NONCE_LENGTH);
  nonce.writeUInt32BE(0, 0);
  if (cipher === 'AESGCM') {
    nonce.writeUInt32BE(high, 4);
    nonce.writeUInt32BE(low, 8);
  } else {
    nonce.writeUInt32LE(low, 4);
    nonce.writeUInt32LE(high, 8);
  }
  return nonce;
}

/**
 * CipherState of Noise section 5.1: a key k and a counter n. One object serves one direction; two users of one key would
 * repeat nonces.
 */
export class CipherState {
  readonly cipher: CipherName;
  #k: KeyObject | undefined;
  #n: number;

  /** InitializeKey(key). Without a key nothing is encrypted, as the first parts of a handshake need it. */
  constructor(cipher: CipherName, key: KeyObject | undefined, counter = 0) {
    this.cipher = cipher;
    this.#k = key;
    this.#n = counter;
  }

  /** InitializeKey(key): a new key starts at counter 0. */
  initializeKey(key: KeyObject): void {
    this.#k = key;
    this.#n = 0;
  }

  /** EncryptWithAd(ad, plaintext): ciphertext and tag, or the plaintext itself while there is no key. */
  encryptWithAd(ad: Uint8Array, plaintext: Uint8Array): Buffer {
    if (this.#k === undefined) return Buffer.from(plaintext);
    const sealing = this.startSeal(ad, plaintext.length);
    const ciphertext = sealing.update(plaintext);
    sealing.final();
    return Buffer.concat([ciphertext, sealing.getAuthTag()]);
  }

  /** DecryptWithAd(ad, ciphertext). Throws CipherError 'forged'; the counter then stays where it was. */
  decryptWithAd(ad: Uint8Array, ciphertext: Buffer): Buffer {
    if (this.#k === undefined) return Buffer.from(ciphertext);
    const length = ciphertext.length - TAG_LENGTH;
    if (length < 0) throw new CipherError('forged', `${ciphertext.length} bytes cannot hold a tag`);
    const before = this.#n;
    const opening = this.startOpen(ad, length);
    const plaintext = opening.update(ciphertext.subarray(0, length));
    opening.setAuthTag(ciphertext.subarray(length));
    try {
      opening.final();
    } catch (cause) {
      this.#n = before;
      throw new CipherError('forged', 'the tag does not prove the bytes', { cause });
    }
    return plaintext;
  }

  /** EncryptWithAd in parts: the caller feeds the AEAD. Takes the next counter. Throws CipherError 'exhausted'. */
  startSeal(ad: Uint8Array, length: number): Sealing {
    const key = this.#usable();
    return startSeal(this.cipher, key, this.#n++, ad, length);
  }

  /** DecryptWithAd in parts. Takes the next counter, so a failure must end the stream. Throws CipherError 'exhausted'. */
  startOpen(ad: Uint8Array, length: number): Opening {
    const key = this.#usable();
    return startOpen(this.cipher, key, this.#n++, ad, length);
  }

  /** The next counter, and what it is of, for what is sealed or opened beside this object, in the same order. Throws CipherError 'exhausted'. */
  takeNext(): OneUse {
    const key = this.#usable();
    return { cipher: this.cipher, key, counter: this.#n++ };
  }

  /** Rekey(): k = REKEY(k). The counter goes on (Noise section 11.3). */
  rekey(): void {
    if (this.#k !== undefined) this.#k = rekeyed(this.cipher, this.#k);
  }

  #usable(): KeyObject {
    if (this.#k === undefined || this.#n >= COUNTER_LIMIT) {
      throw new CipherError('exhausted', `no key is left for counter ${this.#n}`);
    }
    return this.#k;
  }
}
