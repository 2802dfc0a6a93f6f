/** Two ends that shake hands, for tests of this folder and of those built on it. */
import { createHash } from 'node:crypto';
import type { CipherName } from './cipher.ts';
import { Initiator } from './initiator.ts';
import { type KeyPair, type KeyPairGenerator, keyPairFromSecret } from './keys.ts';
import { prologue } from './prologue.ts';
import { Responder } from './responder.ts';
import type { Session } from './session.ts';

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
