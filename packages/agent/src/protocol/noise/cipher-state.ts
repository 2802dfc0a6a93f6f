import type { KeyObject } from 'node:crypto';
import {
  type CipherName,
  COUNTER_LIMIT,
  type Opening,
  rekeyed,
  type Sealing,
  startOpen,
  startSeal,
  TAG_LENGTH,
} from './cipher.ts';
import { CipherError } from './errors.ts';

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
      throw new CipherError('forged', 'the tag does not prove the bytes', cause);
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
