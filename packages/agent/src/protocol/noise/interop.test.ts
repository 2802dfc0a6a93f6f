/**
 * Against noise-c, another's implementation in another language. It knows IK but not the psk2 modifier (it follows an older
 * revision there), so IK is shaken here; interop-psk.test.ts shakes IKpsk2 with another library.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { beforeAll, describe, expect, test } from 'vitest';
import { RecordOpener, RecordSealer } from '../record/record.ts';
import { takeKey } from './cipher.ts';
import { HandshakeState } from './handshake-state.ts';
import { keyPairFromSecret } from './keys.ts';
import { bytesOf, CIPHERS, keyPairsOf } from './pair.fixture.ts';

/** The part of noise-c.wasm that is used here; the package brings no types. */
interface NoiseCipherState {
  EncryptWithAd(ad: Uint8Array, plaintext: Uint8Array): Uint8Array;
  DecryptWithAd(ad: Uint8Array, ciphertext: Uint8Array): Uint8Array;
  free(): void;
}

interface NoiseHandshakeState {
  Initialize(prologue: Uint8Array, s: Uint8Array, rs: Uint8Array | null, psk: Uint8Array | null): void;
  WriteMessage(payload: Uint8Array): Uint8Array;
  ReadMessage(message: Uint8Array, payloadNeeded: true): Uint8Array;
  GetHandshakeHash(): Uint8Array;
  GetRemotePublicKey(): Uint8Array;
  Split(): [send: NoiseCipherState, receive: NoiseCipherState];
}

interface NoiseLibrary {
  readonly constants: { readonly NOISE_ROLE_INITIATOR: number; readonly NOISE_ROLE_RESPONDER: number };
  HandshakeState(protocolName: string, role: number): NoiseHandshakeState;
}

type CreateNoise = (options: { wasmBinary: Uint8Array }, callback: (noise: NoiseLibrary) => void) => void;

const PROLOGUE = Buffer.from('weft/1 and a network');
const NO_PSK = Buffer.alloc(0);
const ours = keyPairFromSecret(bytesOf('ours'));
const theirSecret = bytesOf('theirs');
const theirs = keyPairFromSecret(theirSecret);

let noise: NoiseLibrary;
beforeAll(async () => {
  const require = createRequire(import.meta.url);
  const createNoise = require('noise-c.wasm') as CreateNoise;
  // Handed in, because the package would try to fetch a file path first and print that it failed.
  const wasmBinary = new Uint8Array(readFileSync(require.resolve('noise-c.wasm/src/noise-c.wasm')));
  noise = await new Promise((resolve) => createNoise({ wasmBinary }, resolve));
});

/** Sends records both ways: ours are sealed here, theirs are the same layout by noise-c's EncryptWithAd. */
function exchange(
  sealer: RecordSealer,
  opener: RecordOpener,
  opened: Buffer[],
  send: NoiseCipherState,
  receive: NoiseCipherState,
): void {
  for (let round = 0; round < 6; round++) {
    const plaintext = Buffer.alloc(1 + round * 3000, round);
    const emitted: Buffer[] = [];
    sealer.seal([plaintext], (piece) => emitted.push(piece));
    const record = Buffer.concat(emitted);
    expect(Buffer.from(receive.DecryptWithAd(record.subarray(0, 4), record.subarray(4)))).toEqual(plaintext);

    const header = Buffer.alloc(4);
    header.writeUInt32BE(plaintext.length + 16);
    opener.push(Buffer.concat([header, send.EncryptWithAd(header, plaintext)]));
    expect(opened.pop()).toEqual(plaintext);
  }
  send.free();
  receive.free();
}

describe.each(CIPHERS)('Noise_IK_25519_%s_SHA256 with noise-c', (cipher) => {
  const name = `Noise_IK_25519_${cipher}_SHA256`;

  test('we initiate, noise-c responds', () => {
    const state = new HandshakeState(
      { pattern: 'IK', cipher, prologue: PROLOGUE, s: ours, newEphemeral: keyPairsOf('e') },
      theirs.publicKey,
    );
    const peer = noise.HandshakeState(name, noise.constants.NOISE_ROLE_RESPONDER);
    peer.Initialize(PROLOGUE, theirSecret, null, null);

    const { message, e } = state.writeMessage1(theirs.publicKey, Buffer.from('to noise-c'));
    expect(Buffer.from(peer.ReadMessage(message, true)).toString()).toBe('to noise-c');
    expect(Buffer.from(peer.GetRemotePublicKey())).toEqual(ours.publicKey);
    const answer = Buffer.from(peer.WriteMessage(Buffer.from('from noise-c')));
    expect(state.readMessage2(e, NO_PSK, answer).toString()).toBe('from noise-c');
    expect(state.symmetric.handshakeHash).toEqual(Buffer.from(peer.GetHandshakeHash()));

    const [forth, back] = state.symmetric.split().map(takeKey);
    const [send, receive] = peer.Split();
    const opened: Buffer[] = [];
    if (forth === undefined || back === undefined) throw new Error('split gives two keys');
    const opener = new RecordOpener({ cipher, key: back, small: undefined }, (pieces) =>
      opened.push(Buffer.concat(pieces)),
    );
    exchange(new RecordSealer({ cipher, key: forth, small: undefined }), opener, opened, send, receive);
  });

  test('noise-c initiates, we respond', () => {
    const state = new HandshakeState(
      { pattern: 'IK', cipher, prologue: PROLOGUE, s: ours, newEphemeral: keyPairsOf('e') },
      ours.publicKey,
    );
    const peer = noise.HandshakeState(name, noise.constants.NOISE_ROLE_INITIATOR);
    peer.Initialize(PROLOGUE, theirSecret, ours.publicKey, null);

    const first = state.readMessage1(Buffer.from(peer.WriteMessage(Buffer.from('from noise-c'))));
    expect(first.payload.toString()).toBe('from noise-c');
    expect(first.rs).toEqual(theirs.publicKey);
    const answer = state.writeMessage2(first.re, first.rs, NO_PSK, Buffer.from('to noise-c'));
    expect(Buffer.from(peer.ReadMessage(answer, true)).toString()).toBe('to noise-c');
    expect(state.symmetric.handshakeHash).toEqual(Buffer.from(peer.GetHandshakeHash()));

    const [forth, back] = state.symmetric.split().map(takeKey);
    const [send, receive] = peer.Split();
    const opened: Buffer[] = [];
    if (forth === undefined || back === undefined) throw new Error('split gives two keys');
    const opener = new RecordOpener({ cipher, key: forth, small: undefined }, (pieces) =>
      opened.push(Buffer.concat(pieces)),
    );
    exchange(new RecordSealer({ cipher, key: back, small: undefined }), opener, opened, send, receive);
  });
});
