import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type CipherName, CipherState, takeKey } from './cipher.ts';
import { HandshakeState, type Pattern } from './handshake-state.ts';
import { Initiator } from './initiator.ts';
import { type KeyPair, keyPairFromSecret } from './keys.ts';
import { Responder } from './responder.ts';

interface Vector {
  readonly protocol_name: string;
  readonly init_prologue: string;
  readonly init_psks?: readonly string[];
  readonly init_static: string;
  readonly init_ephemeral: string;
  readonly init_remote_static: string;
  readonly resp_static: string;
  readonly resp_ephemeral: string;
  readonly handshake_hash: string;
  readonly messages: readonly { readonly payload: string; readonly ciphertext: string }[];
}

const { vectors } = JSON.parse(readFileSync(new URL('./vectors.json', import.meta.url), 'utf8')) as {
  vectors: readonly Vector[];
};

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const pair = (secret: string): KeyPair => keyPairFromSecret(hex(secret));

function parse(vector: Vector): { pattern: Pattern; cipher: CipherName; psk: Buffer } {
  const [, pattern, , cipher] = vector.protocol_name.split('_');
  return { pattern: pattern as Pattern, cipher: cipher as CipherName, psk: hex(vector.init_psks?.[0] ?? '') };
}

function message(vector: Vector, index: number): { payload: Buffer; ciphertext: Buffer } {
  const found = vector.messages[index];
  if (found === undefined) throw new Error(`the vector has no message ${index}`);
  return { payload: hex(found.payload), ciphertext: hex(found.ciphertext) };
}

test('the vectors hold both patterns with both ciphers', () => {
  expect(vectors.map((vector) => vector.protocol_name).sort()).toEqual([
    'Noise_IK_25519_AESGCM_SHA256',
    'Noise_IK_25519_ChaChaPoly_SHA256',
    'Noise_IKpsk2_25519_AESGCM_SHA256',
    'Noise_IKpsk2_25519_ChaChaPoly_SHA256',
  ]);
});

describe.each(vectors.map((vector) => [vector.protocol_name, vector] as const))('%s', (_name, vector) => {
  const { pattern, cipher, psk } = parse(vector);
  const prologue = hex(vector.init_prologue);
  const remoteStatic = hex(vector.init_remote_static);

  test('both sides write and read the public bytes, and go on to the same transport messages', () => {
    const initiatorKey = pair(vector.init_static);
    const responderKey = pair(vector.resp_static);
    expect(responderKey.publicKey).toEqual(remoteStatic);
    const first = message(vector, 0);
    const second = message(vector, 1);
    const newEphemeral = () => pair(vector.init_ephemeral);
    const initiator = new HandshakeState({ pattern, cipher, prologue, s: initiatorKey, newEphemeral }, remoteStatic);
    const responder = new HandshakeState(
      { pattern, cipher, prologue, s: responderKey, newEphemeral: () => pair(vector.resp_ephemeral) },
      responderKey.publicKey,
    );

    const one = initiator.writeMessage1(remoteStatic, first.payload);
    expect(one.message).toEqual(first.ciphertext);
    const caller = responder.readMessage1(one.message);
    expect(caller.rs).toEqual(initiatorKey.publicKey);
    expect(caller.payload).toEqual(first.payload);

    const two = responder.writeMessage2(caller.re, caller.rs, psk, second.payload);
    expect(two).toEqual(second.ciphertext);
    expect(initiator.readMessage2(one.e, psk, two)).toEqual(second.payload);
    expect(initiator.symmetric.handshakeHash.toString('hex')).toBe(vector.handshake_hash);
    expect(responder.symmetric.handshakeHash.toString('hex')).toBe(vector.handshake_hash);

    const sending = initiator.symmetric.split().map((key) => new CipherState(cipher, takeKey(key)));
    const receiving = responder.symmetric.split().map((key) => new CipherState(cipher, takeKey(key)));
    const none = Buffer.alloc(0);
    for (let index = 2; index < vector.messages.length; index++) {
      const { payload, ciphertext } = message(vector, index);
      expect(sending[index % 2]?.encryptWithAd(none, payload)).toEqual(ciphertext);
      expect(receiving[index % 2]?.decryptWithAd(none, ciphertext)).toEqual(payload);
    }
  });
});

test.each(vectors.filter((vector) => vector.protocol_name.includes('IKpsk2')))(
  'Initiator and Responder produce them too: $protocol_name',
  (vector) => {
    const { cipher, psk } = parse(vector);
    const prologue = hex(vector.init_prologue);
    const remoteStatic = hex(vector.init_remote_static);
    const initiator = new Initiator({
      cipher,
      prologue,
      staticKey: pair(vector.init_static),
      remoteStatic,
      psk,
      newEphemeral: () => pair(vector.init_ephemeral),
    });
    const responder = new Responder({
      cipher,
      prologue,
      staticKey: pair(vector.resp_static),
      newEphemeral: () => pair(vector.resp_ephemeral),
    });
    const first = message(vector, 0);
    const second = message(vector, 1);
    expect(initiator.writeMessage1(first.payload)).toEqual(first.ciphertext);
    expect(responder.readMessage1(first.ciphertext).payload).toEqual(first.payload);
    const answer = responder.writeMessage2(psk, second.payload);
    expect(answer.message).toEqual(second.ciphertext);
    const done = initiator.readMessage2(answer.message);
    expect(done.payload).toEqual(second.payload);
    expect(done.session.handshakeHash.toString('hex')).toBe(vector.handshake_hash);
    expect(done.session.send.key.equals(answer.session.receive.key)).toBe(true);
    expect(done.session.receive.key.equals(answer.session.send.key)).toBe(true);

    const { payload, ciphertext } = message(vector, 2);
    const state = new CipherState(cipher, done.session.send.key);
    expect(state.encryptWithAd(Buffer.alloc(0), payload)).toEqual(ciphertext);
  },
);
