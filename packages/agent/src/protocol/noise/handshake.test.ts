import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HandshakeError } from './errors.ts';
import { MAXIMUM_PAYLOAD } from './handshake-state.ts';
import { keyPairFromSecret } from './keys.ts';
import { ALICE, alice, BOB, bob, bytesOf, CIPHERS, PSK, sessions } from './pair.fixture.ts';
import { prologue } from './prologue.ts';
import type { DirectionKeys } from './session.ts';

const NOTHING = Buffer.alloc(0);

/** Runs it and gives the code it fails with. */
function hexOf({ key, small }: DirectionKeys): string[] {
  return [key, small].map((each) => each?.export().toString('hex') ?? '');
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof HandshakeError) return error.code;
    throw error;
  }
  return 'no error';
}

describe.each(CIPHERS)('IKpsk2 with %s', (cipher) => {
  test('both ends hold the same session, a key to each direction and use', () => {
    const { initiator, responder } = sessions(cipher);
    expect(initiator.handshakeHash).toEqual(responder.handshakeHash);
    const pairs = [
      [initiator.send, responder.receive],
      [initiator.receive, responder.send],
      [initiator.datagramSend, responder.datagramReceive],
      [initiator.datagramReceive, responder.datagramSend],
    ] as const;
    for (const [ours, theirs] of pairs) expect(hexOf(ours)).toEqual(hexOf(theirs));
    expect(new Set(pairs.flatMap(([ours]) => hexOf(ours))).size).toBe(8);
  });

  test('the responder learns who calls before it must give the psk', () => {
    const responder = bob(cipher);
    const read = responder.readMessage1(alice(cipher).writeMessage1(Buffer.from('offer')));
    expect(read.remoteStatic).toEqual(ALICE.publicKey);
    expect(read.payload.toString()).toBe('offer');
  });

  test('payloads of 0 and of 4,096 bytes pass, one more is refused on both sides', () => {
    for (const length of [0, MAXIMUM_PAYLOAD]) {
      const initiator = alice(cipher);
      const responder = bob(cipher);
      const message1 = initiator.writeMessage1(Buffer.alloc(length, 7));
      expect(message1.length).toBe(96 + length);
      expect(responder.readMessage1(message1).payload).toEqual(Buffer.alloc(length, 7));
      const { message } = responder.writeMessage2(PSK, Buffer.alloc(length, 8));
      expect(message.length).toBe(48 + length);
      expect(initiator.readMessage2(message).payload).toEqual(Buffer.alloc(length, 8));
    }
    const tooMuch = Buffer.alloc(MAXIMUM_PAYLOAD + 1);
    expect(codeOf(() => alice(cipher).writeMessage1(tooMuch))).toBe('payload-too-long');
    const responder = bob(cipher);
    responder.readMessage1(alice(cipher).writeMessage1(NOTHING));
    expect(codeOf(() => responder.writeMessage2(PSK, tooMuch))).toBe('payload-too-long');
    expect(codeOf(() => bob(cipher).readMessage1(Buffer.alloc(96 + MAXIMUM_PAYLOAD + 1)))).toBe('wrong-length');
  });

  test('any flipped bit of message 1 is refused', () => {
    const message = alice(cipher).writeMessage1(Buffer.from('offer'));
    for (let at = 0; at < message.length; at++) {
      const altered = Buffer.from(message);
      altered[at] = (altered[at] ?? 0) ^ (1 << (at % 8));
      // X25519 does not look at the highest bit of a key, but the hash does.
      expect(codeOf(() => bob(cipher).readMessage1(altered))).toBe('forged');
    }
  });

  test('any flipped bit of message 2 is refused', () => {
    const responder = bob(cipher);
    responder.readMessage1(alice(cipher).writeMessage1(Buffer.from('offer')));
    const { message } = responder.writeMessage2(PSK, Buffer.from('answer'));
    for (let at = 0; at < message.length; at++) {
      const altered = Buffer.from(message);
      altered[at] = (altered[at] ?? 0) ^ (1 << (at % 8));
      const initiator = alice(cipher);
      initiator.writeMessage1(Buffer.from('offer'));
      expect(codeOf(() => initiator.readMessage2(altered))).toBe('forged');
    }
  });

  test('another network, another suite, another host or another psk cannot finish', () => {
    const other = cipher === 'AESGCM' ? 'ChaChaPoly' : 'AESGCM';
    expect(codeOf(() => bob(cipher, 'staging').readMessage1(alice(cipher).writeMessage1(NOTHING)))).toBe('forged');
    expect(codeOf(() => bob(other).readMessage1(alice(cipher).writeMessage1(NOTHING)))).toBe('forged');
    const elsewhere = alice(cipher, { remoteStatic: keyPairFromSecret(bytesOf('carol')).publicKey });
    expect(codeOf(() => bob(cipher).readMessage1(elsewhere.writeMessage1(NOTHING)))).toBe('forged');
    const initiator = alice(cipher, { psk: bytesOf('another psk') });
    const responder = bob(cipher);
    responder.readMessage1(initiator.writeMessage1(NOTHING));
    const { message } = responder.writeMessage2(PSK, NOTHING);
    expect(codeOf(() => initiator.readMessage2(message))).toBe('forged');
  });

  test('random bytes of any length give typed errors only', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(codeOf(() => bob(cipher).readMessage1(Buffer.from(bytes)))).not.toBe('no error');
        const initiator = alice(cipher);
        initiator.writeMessage1(NOTHING);
        expect(codeOf(() => initiator.readMessage2(Buffer.from(bytes)))).not.toBe('no error');
      }),
      { numRuns: 60 },
    );
  });
});

describe('low-order points', () => {
  // RFC 7748 section 6.1 and the published list: every point of small order, and their forms over the prime.
  const points = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ].map((text) => ({ point: Buffer.from(text, 'hex') }));

  test.each(points)('are refused as an ephemeral, in either message, and as a static key: %#', ({ point }) => {
    expect(codeOf(() => bob('AESGCM').readMessage1(Buffer.concat([point, Buffer.alloc(64)])))).toBe('low-order-point');
    const initiator = alice('AESGCM');
    initiator.writeMessage1(NOTHING);
    expect(codeOf(() => initiator.readMessage2(Buffer.concat([point, Buffer.alloc(16)])))).toBe('low-order-point');
    expect(codeOf(() => alice('AESGCM', { remoteStatic: point }).writeMessage1(NOTHING))).toBe('low-order-point');
  });
});

describe('a machine runs one handshake, in order', () => {
  test('out of order', () => {
    expect(codeOf(() => alice('AESGCM').readMessage2(Buffer.alloc(48)))).toBe('wrong-order');
    expect(codeOf(() => bob('AESGCM').writeMessage2(PSK, NOTHING))).toBe('wrong-order');
    const initiator = alice('AESGCM');
    initiator.writeMessage1(NOTHING);
    expect(codeOf(() => initiator.writeMessage1(NOTHING))).toBe('wrong-order');
  });

  test('nothing after a failure', () => {
    const responder = bob('AESGCM');
    const good = alice('AESGCM').writeMessage1(NOTHING);
    expect(codeOf(() => responder.readMessage1(Buffer.alloc(96)))).toBe('low-order-point');
    expect(codeOf(() => responder.readMessage1(good))).toBe('wrong-order');
  });

  test('keys of a wrong length', () => {
    expect(codeOf(() => alice('AESGCM', { psk: Buffer.alloc(31) }))).toBe('wrong-key-length');
    expect(codeOf(() => alice('AESGCM', { remoteStatic: Buffer.alloc(33) }))).toBe('wrong-key-length');
    expect(codeOf(() => keyPairFromSecret(Buffer.alloc(31)))).toBe('wrong-key-length');
    const responder = bob('AESGCM');
    responder.readMessage1(alice('AESGCM').writeMessage1(NOTHING));
    expect(codeOf(() => responder.writeMessage2(Buffer.alloc(0), NOTHING))).toBe('wrong-key-length');
  });
});

describe('the prologue', () => {
  test('holds the version, the network and the session it renews', () => {
    expect(prologue('prod').toString('latin1')).toBe('weft/1\x04prod');
    expect(prologue('prod', bytesOf('h'))).toEqual(Buffer.concat([prologue('prod'), bytesOf('h')]));
    expect(codeOf(() => prologue(''))).toBe('wrong-length');
    expect(codeOf(() => prologue('x'.repeat(256)))).toBe('wrong-length');
    expect(codeOf(() => prologue('prod', Buffer.alloc(31)))).toBe('wrong-length');
  });
});

test('the keys of each use are HKDF(ck, its label, 2), and all apart', async () => {
  const { SymmetricState } = await import('./symmetric-state.ts');
  const { splitSession } = await import('./session.ts');
  const state = new SymmetricState('Noise_IKpsk2_25519_AESGCM_SHA256', 'AESGCM');
  // Written from RFC 5869 with ck as the salt; ck starts as the protocol's name, zero padded.
  const ck = Buffer.concat([Buffer.from('Noise_IKpsk2_25519_AESGCM_SHA256')], 32);
  const expand = (input: string): Buffer[] => {
    const key = createHmac('sha256', ck).update(input).digest();
    const first = createHmac('sha256', key).update('\x01').digest();
    return [first, createHmac('sha256', key).update(first).update('\x02').digest()];
  };
  const session = splitSession(state, 'AESGCM', 'responder');
  const hex = (label: string) => expand(label).map((key) => key.toString('hex'));
  const [forth, back] = [hexOf(session.receive), hexOf(session.send)];
  expect([forth[0], back[0]]).toEqual(hex(''));
  expect([forth[1], back[1]]).toEqual(hex('weft/1 small records'));
  const [packetsForth, packetsBack] = [hexOf(session.datagramReceive), hexOf(session.datagramSend)];
  expect([packetsForth[0], packetsBack[0]]).toEqual(hex('weft/1 datagram'));
  expect([packetsForth[1], packetsBack[1]]).toEqual(hex('weft/1 small datagrams'));
  expect(BOB.publicKey.length).toBe(32);
});
