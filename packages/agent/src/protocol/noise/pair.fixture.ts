/** Two ends that shake hands, for tests of this folder and of those built on it. */

import type { KeyObject } from 'node:crypto';
import { createHash } from 'node:crypto';
import { type CipherName, type Opening, type Sealing, startOpen, startSeal, TAG_LENGTH, takeKey } from './cipher.ts';
import type { InPlaceKey } from './in-place.ts';
import { Initiator } from './initiator.ts';
import { type KeyPair, type KeyPairGenerator, keyPairFromSecret } from './keys.ts';
import { prologue } from './prologue.ts';
import { Responder } from './responder.ts';
import type { DirectionKeys, Session } from './session.ts';
import { loadSmallCipher, SMALL_LIMIT, SmallKey } from './small-cipher.ts';

await loadSmallCipher();

/** 32 bytes that are always the same for the same words. */
export function bytesOf(words: string): Buffer {
  return createHash('sha256').update(words).digest();
}

/** Key pairs without chance: the same seed, the same sequence. */
export function keyPairsOf(seed: string): KeyPairGenerator {
  let count = 0;
  return () => keyPairFromSecret(bytesOf(`${seed} ${count++}`));
}

export const CIPHERS: readonly CipherName[] = ['AESGCM', 'ChaChaPoly'];

/** Each cipher, and with it whether small records and packets have keys of their own. */
export const SEALINGS: readonly (readonly [cipher: CipherName, small: 'all alike' | 'small apart'])[] = [
  ['AESGCM', 'all alike'],
  ['AESGCM', 'small apart'],
  ['ChaChaPoly', 'all alike'],
  ['ChaChaPoly', 'small apart'],
];

/** Keys that seal in place on any Node, by node:crypto; how many there are that nobody has forgotten. */
export const inPlaceKeys = {
  alive: 0,
  newKey: (cipher: CipherName, key: KeyObject, use: 'seal' | 'open'): InPlaceKey => new KeyByNode(cipher, key, use),
};

class KeyByNode implements InPlaceKey {
  readonly #cipher: CipherName;
  readonly #use: 'seal' | 'open';
  #key: KeyObject | undefined;
  #sealing: Sealing | undefined;
  #opening: Opening | undefined;

  constructor(cipher: CipherName, key: KeyObject, use: 'seal' | 'open') {
    this.#cipher = cipher;
    this.#key = key;
    this.#use = use;
    inPlaceKeys.alive += 1;
  }

  start(counter: number, additional: Buffer): void {
    if (this.#key === undefined) throw new Error('this key was forgotten');
    if (this.#use === 'seal') this.#sealing = startSeal(this.#cipher, this.#key, counter, additional, 0);
    else this.#opening = startOpen(this.#cipher, this.#key, counter, additional, 0);
  }

  update(input: Uint8Array, target: Uint8Array, at: number): void {
    target.set(this.#of(this.#use === 'seal' ? this.#sealing : this.#opening).update(input), at);
  }

  writeTag(target: Uint8Array, at: number): void {
    const sealing = this.#of(this.#sealing);
    sealing.final();
    target.set(sealing.getAuthTag(), at);
  }

  proves(tag: Uint8Array): boolean {
    const opening = this.#of(this.#opening);
    opening.setAuthTag(tag);
    try {
      opening.final();
      return true;
    } catch {
      return false;
    }
  }

  forget(): void {
    if (this.#key !== undefined) inPlaceKeys.alive -= 1;
    this.#key = undefined;
  }

  #of<T>(started: T | undefined): T {
    if (this.#key === undefined || started === undefined) throw new Error('nothing was started');
    return started;
  }
}

/** Keys that are always the same for the same words: the raw ones are `bytesOf(words)` and `bytesOf('small ' + words)`. */
export function directionKeys(cipher: CipherName, words: string, small: 'all alike' | 'small apart'): DirectionKeys {
  const key = takeKey(bytesOf(words));
  return { cipher, key, small: small === 'small apart' ? new SmallKey(bytesOf(`small ${words}`)) : undefined };
}

/** Ciphertext and tag of whatever the test likes, as a peer would seal it that keeps to the format and to nothing else. */
export function sealedWith(keys: DirectionKeys, counter: number, additional: Buffer, plaintext: Buffer): Buffer {
  if (keys.small !== undefined && plaintext.length <= SMALL_LIMIT) {
    const sealed = Buffer.alloc(plaintext.length + TAG_LENGTH);
    keys.small.seal(counter, additional, [plaintext], sealed, 0);
    return sealed;
  }
  const sealing = startSeal(keys.cipher, keys.key, counter, additional, plaintext.length);
  const ciphertext = sealing.update(plaintext);
  sealing.final();
  return Buffer.concat([ciphertext, sealing.getAuthTag()]);
}

export const PSK = bytesOf('psk of the pair');
export const ALICE: KeyPair = keyPairFromSecret(bytesOf('alice'));
export const BOB: KeyPair = keyPairFromSecret(bytesOf('bob'));

export interface PairOptions {
  readonly network?: string;
  readonly psk?: Uint8Array;
  readonly remoteStatic?: Uint8Array;
}

/** Alice's machine, who dials Bob. */
export function alice(cipher: CipherName, options: PairOptions = {}): Initiator {
  return new Initiator({
    cipher,
    prologue: prologue(options.network ?? 'prod'),
    staticKey: ALICE,
    remoteStatic: options.remoteStatic ?? BOB.publicKey,
    psk: options.psk ?? PSK,
    newEphemeral: keyPairsOf('alice ephemeral'),
  });
}

/** Bob's machine, who answers. */
export function bob(cipher: CipherName, network = 'prod'): Responder {
  return new Responder({
    cipher,
    prologue: prologue(network),
    staticKey: BOB,
    newEphemeral: keyPairsOf('bob ephemeral'),
  });
}

/** The two sessions of a finished handshake. */
export function sessions(cipher: CipherName): { initiator: Session; responder: Session } {
  const initiator = alice(cipher);
  const responder = bob(cipher);
  responder.readMessage1(initiator.writeMessage1(Buffer.from('hello')));
  const { message, session } = responder.writeMessage2(PSK, Buffer.from('welcome'));
  return { initiator: initiator.readMessage2(message).session, responder: session };
}
