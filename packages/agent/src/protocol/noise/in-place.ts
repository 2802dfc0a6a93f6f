/** An AEAD that works from where bytes lie into memory that is given, and makes nothing for each use. Handed in by whoever has one. */
import type { KeyObject } from 'node:crypto';
import type { CipherName } from './cipher.ts';

/** One key of one direction. Its memory is not the collector's: it lasts until `forget`. Every throw is a fault of this program. */
export interface InPlaceKey {
  /** Starts ENCRYPT or DECRYPT(k, counter, additional, …); what was started before is dropped. Additional data is at most 32 bytes. */
  start(counter: number, additional: Uint8Array): void;
  /** The next bytes, into `target` from `at`, where they may lie already. Throws RangeError where they do not fit. */
  update(input: Uint8Array, target: Uint8Array, at: number): void;
  /** Ends a sealing: writes the tag, 16 bytes. */
  writeTag(target: Uint8Array, at: number): void;
  /** Ends an opening: whether this tag proves the bytes. Until it has, they are anybody's. */
  proves(tag: Uint8Array): boolean;
  /** Wipes the key; nothing is sealed or opened after it. */
  forget(): void;
}

/** Makes one for `seal` or for `open`. */
export type NewInPlaceKey = (cipher: CipherName, key: KeyObject, use: 'seal' | 'open') => InPlaceKey;

/** A key that is made when it is first wanted: a tunnel without bulk has none. */
export class LateKey {
  readonly #newKey: NewInPlaceKey;
  readonly #use: 'seal' | 'open';
  #key: InPlaceKey | undefined;

  constructor(newKey: NewInPlaceKey, use: 'seal' | 'open') {
    this.#newKey = newKey;
    this.#use = use;
  }

  of(cipher: CipherName, key: KeyObject): InPlaceKey {
    this.#key ??= this.#newKey(cipher, key, this.#use);
    return this.#key;
  }

  /** To be called before another key is used, and at the end. */
  forget(): void {
    this.#key?.forget();
    this.#key = undefined;
  }
}
