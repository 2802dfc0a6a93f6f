/** Noise_IKpsk2_25519_AESGCM_SHA256, the very handshake of the tunnels, against noise-js: another's implementation. */
import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { RecordOpener, RecordSealer } from '../record/record.ts';
import { Initiator } from './initiator.ts';
import { keyPairFromSecret } from './keys.ts';
import { bytesOf, keyPairsOf, PSK } from './pair.fixture.ts';
import { prologue } from './prologue.ts';
import { Responder } from './responder.ts';
import { type Session, withoutSmallKeys } from './session.ts';

interface NoiseCipherState {
  encryptWithAd(ad: Uint8Array, plaintext: Uint8Array): Buffer;
  decryptWithAd(ad: Uint8Array, ciphertext: Uint8Array): Buffer;
}

/** The part of noise-js that is used here; the package brings no types. */
interface NoiseJs {
  initialize(
    pattern: string,
    initiator: boolean,
    prologue: Uint8Array,
    s: Uint8Array,
    e: null,
    rs: Uint8Array | null,
    re: null,
    psks: (Uint8Array | null)[],
  ): NoiseHandshake;
}

interface NoiseHandshake {
  writeMessage(payload: Uint8Array): Buffer;
  readMessage(message: Uint8Array): Buffer;
  /** One cipher for initiator to responder, one for the way back. */
  split(): [NoiseCipherState, NoiseCipherState];
}

const noise = createRequire(import.meta.url)('@likecoin/noise-js') as NoiseJs;
const PROLOGUE = prologue('prod');
const ours = keyPairFromSecret(bytesOf('ours'));
const theirSecret = bytesOf('theirs');
const theirs = keyPairFromSecret(theirSecret);

/** A record of ours opens there, and one of theirs opens here. */
function exchange(session: Session, send: NoiseCipherState, receive: NoiseCipherState): void {
  const opened: Buffer[] = [];
  const sealer = new RecordSealer(withoutSmallKeys(session).send);
  const opener = new RecordOpener(withoutSmallKeys(session).receive, (pieces) => opened.push(Buffer.concat(pieces)));
  for (let round = 0; round < 4; round++) {
    const plaintext = Buffer.alloc(100 + round * 5000, round + 1);
    const emitted: Buffer[] = [];
    sealer.seal([plaintext], (piece) => emitted.push(piece));
    const record = Buffer.concat(emitted);
    expect(receive.decryptWithAd(record.subarray(0, 4), record.subarray(4))).toEqual(plaintext);
    const header = Buffer.alloc(4);
    header.writeUInt32BE(plaintext.length + 16);
    opener.push(Buffer.concat([header, send.encryptWithAd(header, plaintext)]));
    expect(opened.pop()).toEqual(plaintext);
  }
}

test('we initiate, noise-js responds', () => {
  const initiator = new Initiator({
    cipher: 'AESGCM',
    prologue: PROLOGUE,
    staticKey: ours,
    remoteStatic: theirs.publicKey,
    psk: PSK,
    newEphemeral: keyPairsOf('e'),
  });
  const peer = noise.initialize('IK', false, PROLOGUE, theirSecret, null, null, null, [null, null, PSK]);
  expect(peer.readMessage(initiator.writeMessage1(Buffer.from('to noise-js'))).toString()).toBe('to noise-js');
  const { payload, session } = initiator.readMessage2(peer.writeMessage(Buffer.from('from noise-js')));
  expect(payload.toString()).toBe('from noise-js');
  const [forth, back] = peer.split();
  exchange(session, back, forth);
});

test('noise-js initiates, we respond', () => {
  const responder = new Responder({
    cipher: 'AESGCM',
    prologue: PROLOGUE,
    staticKey: ours,
    newEphemeral: keyPairsOf('e'),
  });
  const peer = noise.initialize('IK', true, PROLOGUE, theirSecret, null, ours.publicKey, null, [null, null, PSK]);
  const first = responder.readMessage1(peer.writeMessage(Buffer.from('from noise-js')));
  expect(first.payload.toString()).toBe('from noise-js');
  expect(first.remoteStatic).toEqual(theirs.publicKey);
  const { message, session } = responder.writeMessage2(PSK, Buffer.from('to noise-js'));
  expect(peer.readMessage(message).toString()).toBe('to noise-js');
  const [forth, back] = peer.split();
  exchange(session, forth, back);
});
