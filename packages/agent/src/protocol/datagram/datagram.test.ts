import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COUNTER_LIMIT } from '../noise/cipher.ts';
import { inPlaceKeys, SEALINGS, sealedWith, sessions } from '../noise/pair.fixture.ts';
import { type Session, withoutSmallKeys } from '../noise/session.ts';
import { DatagramError } from './errors.ts';
import { PACKET_HEADER, PACKET_OVERHEAD, receiverIndexOf } from './format.ts';
import { decodeOffer, encodeOffer } from './offer.ts';
import { DatagramOpener, type ItemHandler, type OpenOutcome } from './opener.ts';
import { DatagramSealer } from './sealer.ts';

const INDEX = 0xdeadbeef;
const PLACES = ['none in place', 'sealed in place', 'opened in place'] as const;
type Sealing = readonly [...(typeof SEALINGS)[number], (typeof PLACES)[number]];

/** Both ways of each end are the same on the wire: one seals what the other opens. */
const WAYS: readonly Sealing[] = SEALINGS.flatMap((sealing) => PLACES.map((place): Sealing => [...sealing, place]));
const PLAIN: Sealing = ['AESGCM', 'all alike', 'none in place'];

function sessionOf([cipher, small]: Sealing): { initiator: Session; responder: Session } {
  const { initiator, responder } = sessions(cipher);
  if (small === 'small apart') return { initiator, responder };
  return { initiator: withoutSmallKeys(initiator), responder: withoutSmallKeys(responder) };
}

function sealerOf(sealing: Sealing, packetLimit = 1252, counter = 0): DatagramSealer {
  const keys = sessionOf(sealing).initiator.datagramSend;
  const newKey = sealing[2] === 'sealed in place' ? inPlaceKeys.newKey : undefined;
  return new DatagramSealer({ keys, receiverIndex: INDEX, packetLimit, counter, newKey });
}

function openerOf(sealing: Sealing): DatagramOpener {
  const newKey = sealing[2] === 'opened in place' ? inPlaceKeys.newKey : undefined;
  return new DatagramOpener(sessionOf(sealing).responder.datagramReceive, newKey);
}

/** Writes each item down as words. */
function recorder(): { items: string[]; handler: ItemHandler } {
  const items: string[] = [];
  return {
    items,
    handler: {
      data: (flowId, payload) => items.push(`data ${flowId} ${payload.toString('latin1')}`),
      probe: (id, packetSize) => items.push(`probe ${id} ${packetSize}`),
      probeAck: (id, packetSize) => items.push(`ack ${id} ${packetSize}`),
      fragment: (flowId, number, index, count, piece) =>
        items.push(`fragment ${flowId} ${number} ${index}/${count} ${piece.toString('latin1')}`),
    },
  };
}

function packetOf(sealer: DatagramSealer): Buffer {
  const target = Buffer.alloc(1400);
  return Buffer.from(target.subarray(0, sealer.seal(target)));
}

function outcomeOf(opener: DatagramOpener, packet: Buffer): OpenOutcome {
  return opener.open(packet, recorder().handler);
}

/** A packet the peer itself sealed, with whatever plaintext. */
function packetWith(sealing: Sealing, plaintext: Buffer): Buffer {
  const sealer = sealerOf(sealing);
  sealer.addData(0, Buffer.alloc(0));
  const header = packetOf(sealer).subarray(0, PACKET_HEADER);
  return Buffer.concat([header, sealedWith(sessionOf(sealing).initiator.datagramSend, 0, header, plaintext)]);
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof DatagramError) return error.code;
    throw error;
  }
  return 'no error';
}

describe.each(WAYS)('datagrams with %s, %s, %s', (...sealing) => {
  test('several items in one packet, in order', () => {
    const sealer = sealerOf(sealing);
    expect(sealer.seal(Buffer.alloc(0))).toBe(0);
    expect(sealer.addData(7, Buffer.from('seven'))).toBe(true);
    expect(sealer.addData(0xffffffff, Buffer.alloc(0))).toBe(true);
    expect(sealer.addProbeAck(3, 1400)).toBe(true);
    expect(sealer.pending).toBe(3 * 7 + 5 + 2);
    const packet = packetOf(sealer);
    expect(packet.length).toBe(3 * 7 + 5 + 2 + PACKET_OVERHEAD);
    expect(packet.subarray(0, PACKET_HEADER).toString('hex')).toBe('11deadbeef0000000000000000');
    expect(receiverIndexOf(packet)).toBe(INDEX);
    expect(sealer.pending).toBe(0);
    const { items, handler } = recorder();
    expect(openerOf(sealing).open(packet, handler)).toBe('opened');
    expect(items).toEqual(['data 7 seven', 'data 4294967295 ', 'ack 3 1400']);
  });

  test('any list of payloads comes out as it went in, whatever the packets and their order', () => {
    const payloads = fc.array(fc.string({ maxLength: 900, unit: fc.constantFrom('a', 'b', '\xff', '\0') }), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(payloads, fc.boolean(), (texts, backwards) => {
        const sealer = sealerOf(sealing, 1300);
        const packets: Buffer[] = [];
        for (const [flow, text] of texts.entries()) {
          const payload = Buffer.from(text, 'latin1');
          if (sealer.addData(flow, payload)) continue;
          packets.push(packetOf(sealer));
          expect(sealer.addData(flow, payload)).toBe(true);
        }
        if (sealer.pending > 0) packets.push(packetOf(sealer));
        for (const packet of packets) expect(packet.length).toBeLessThanOrEqual(1300);
        const opener = openerOf(sealing);
        const { items, handler } = recorder();
        for (const packet of backwards ? packets.toReversed() : packets) {
          expect(opener.open(packet, handler)).toBe('opened');
          expect(outcomeOf(opener, packet)).toBe('replayed');
        }
        expect(items).toHaveLength(texts.length);
        expect(new Set(items)).toEqual(new Set(texts.map((text, flow) => `data ${flow} ${text}`)));
      }),
      { numRuns: 40 },
    );
  });

  test('any flipped bit is refused, and does not use up the counter', () => {
    const sealer = sealerOf(sealing);
    sealer.addData(1, Buffer.from('payload'));
    const packet = packetOf(sealer);
    const opener = openerOf(sealing);
    for (let at = 0; at < packet.length * 8; at++) {
      const altered = Buffer.from(packet);
      altered[at >> 3] = (altered[at >> 3] ?? 0) ^ (1 << (at & 7));
      expect(['not-ours', 'forged']).toContain(outcomeOf(opener, altered));
    }
    for (let length = 0; length < packet.length; length++) {
      expect(['not-ours', 'forged']).toContain(outcomeOf(opener, packet.subarray(0, length)));
    }
    expect(outcomeOf(opener, packet)).toBe('opened');
  });

  test.each([
    ['half an item header', Buffer.from('0100000001000001', 'hex').subarray(0, 7), 'malformed'],
    ['a payload longer than the packet', Buffer.from('010000000100030102', 'hex'), 'malformed'],
    ['bytes after the last item', Buffer.from('0100000001000101ff', 'hex'), 'malformed'],
    ['type 0', Buffer.from('00000000010000', 'hex'), 'malformed'],
    ['an unknown type', Buffer.from('05000000010000', 'hex'), 'malformed'],
    ['a fragment without its header', Buffer.from('04000000010003000100', 'hex'), 'malformed'],
    ['a fragment without a byte', Buffer.from('0400000001000400010002', 'hex'), 'malformed'],
    ['a fragment of one', Buffer.from('040000000100050001000141', 'hex'), 'malformed'],
    ['a fragment past its count', Buffer.from('040000000100050001020241', 'hex'), 'malformed'],
    ['an acknowledgement without a size', Buffer.from('03000000010000', 'hex'), 'malformed'],
    ['a good item before a bad one', Buffer.from('010000000100014109000000000000', 'hex'), 'malformed'],
    ['a good item', Buffer.from('0100000001000141', 'hex'), 'opened'],
  ])('a peer that seals %s: %s', (name, plaintext, outcome) => {
    const bytes = name === 'half an item header' ? Buffer.concat([plaintext, Buffer.of(0)]) : plaintext;
    const { items, handler } = recorder();
    expect(openerOf(sealing).open(packetWith(sealing, bytes), handler)).toBe(outcome);
    // Nothing of a packet is believed before all of it is.
    expect(items).toEqual(outcome === 'opened' ? ['data 1 A'] : []);
  });

  test('random packets never throw and never open', () => {
    const opener = openerOf(sealing);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1500 }), fc.boolean(), (bytes, plausible) => {
        const packet = Buffer.from(bytes);
        if (plausible && packet.length > 0) packet[0] = 0x11;
        expect(['not-ours', 'forged', 'replayed']).toContain(outcomeOf(opener, packet));
      }),
      { numRuns: 200 },
    );
  });
});

test('a probe fills its packet to the byte and tells the size it came in', () => {
  const sealer = sealerOf(PLAIN, 1400);
  for (const size of [36, 1252, 1400]) {
    expect(sealer.addProbe(9, size)).toBe(true);
    expect(sealer.addProbe(9, size)).toBe(false);
    const packet = packetOf(sealer);
    expect(packet.length).toBe(size);
    const { items, handler } = recorder();
    expect(openerOf(PLAIN).open(packet, handler)).toBe('opened');
    expect(items).toEqual([`probe 9 ${size}`]);
  }
  expect(codeOf(() => sealer.addProbe(9, 1401))).toBe('out-of-range');
  expect(codeOf(() => sealer.addProbe(9, 35))).toBe('out-of-range');
});

test('the largest payload fits alone; one byte more fits nowhere', () => {
  const sealer = sealerOf(PLAIN);
  expect(sealer.payloadLimit).toBe(1252 - 13 - 16 - 7);
  expect(codeOf(() => sealer.addData(1, Buffer.alloc(sealer.payloadLimit + 1)))).toBe('oversized');
  expect(sealer.addData(1, Buffer.alloc(sealer.payloadLimit))).toBe(true);
  expect(sealer.addData(1, Buffer.alloc(0))).toBe(false);
  expect(codeOf(() => sealer.seal(Buffer.alloc(1251)))).toBe('target-too-small');
  expect(sealer.seal(Buffer.alloc(1252))).toBe(1252);
});

test('a fragment carries its place and its piece', () => {
  const sealer = sealerOf(PLAIN);
  sealer.addFragment(5, 0xffff, 1, 2, Buffer.from('abcdef'), 4, 6);
  const { items, handler } = recorder();
  expect(openerOf(PLAIN).open(packetOf(sealer), handler)).toBe('opened');
  expect(items).toEqual(['fragment 5 65535 1/2 ef']);
});

test('no key seals past 2^48 packets', () => {
  const sealer = sealerOf(PLAIN, 1252, COUNTER_LIMIT - 1);
  sealer.addData(1, Buffer.alloc(0));
  expect(outcomeOf(openerOf(PLAIN), packetOf(sealer))).toBe('opened');
  sealer.addData(1, Buffer.alloc(0));
  expect(codeOf(() => packetOf(sealer))).toBe('exhausted');
});

test('a packet of the other direction or of another session is forged', () => {
  const { initiator, responder } = sessionOf(PLAIN);
  const options = { receiverIndex: INDEX, packetLimit: 1252 };
  const sealer = new DatagramSealer({ ...options, keys: responder.datagramSend });
  sealer.addData(1, Buffer.alloc(0));
  const packet = packetOf(sealer);
  expect(outcomeOf(new DatagramOpener(responder.datagramReceive), packet)).toBe('forged');
  expect(outcomeOf(new DatagramOpener(initiator.datagramReceive), packet)).toBe('opened');
});

test.each([
  [{ index: 1, packetLimit: 1252 }, 'no error'],
  [{ index: 0xffffffff, packetLimit: 1400 }, 'no error'],
  [{ index: 0, packetLimit: 0 }, 'no error'],
  [{ index: 1, packetLimit: 1251 }, 'malformed-offer'],
  [{ index: 1, packetLimit: 1401 }, 'malformed-offer'],
])('an offer of %j: %s', (offer, code) => {
  const payload = Buffer.concat([encodeOffer(offer), Buffer.from('rest')]);
  expect(codeOf(() => decodeOffer(payload))).toBe(code);
  if (code === 'no error') expect(decodeOffer(payload)).toEqual({ offer, rest: Buffer.from('rest') });
  expect(codeOf(() => decodeOffer(payload.subarray(0, 5)))).toBe('malformed-offer');
});

test('limits handed to a sealer are checked', () => {
  expect(codeOf(() => sealerOf(PLAIN, 1251))).toBe('out-of-range');
  expect(codeOf(() => sealerOf(PLAIN, 1401))).toBe('out-of-range');
  expect(codeOf(() => sealerOf(PLAIN).addData(2 ** 32, Buffer.alloc(0)))).toBe('out-of-range');
});
