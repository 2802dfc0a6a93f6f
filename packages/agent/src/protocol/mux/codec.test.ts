import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OpenRequest } from '../../words/opening.ts';
import { ByteQueue } from './byte-queue.ts';
import { MuxError, OpenError } from './errors.ts';
import { decodeRecord, encodeHeader } from './frames.ts';
import { decodeOpen, decodeRefusal, encodeOpen, encodeRefusal } from './opening.ts';
import { FRAME, type FrameHandler, type FrameType, MAXIMUM_DATA } from './types.ts';

type Frame = readonly [name: string, id: number, payload: string];

/** Writes down what it is handed; pieces of one DATA frame are told apart only by their stream. */
function recorder(): FrameHandler & { readonly frames: Frame[] } {
  const frames: Frame[] = [];
  const hex = (payload: Buffer): string => payload.toString('hex');
  return {
    frames,
    stopped: false,
    open: (id, payload) => frames.push(['open', id, hex(payload)]),
    opened: (id, payload) => frames.push(['opened', id, hex(payload)]),
    refused: (id, payload) => frames.push(['refused', id, hex(payload)]),
    data(id, piece) {
      const last = frames.at(-1);
      if (last?.[0] === 'data' && last[1] === id) frames[frames.length - 1] = ['data', id, last[2] + hex(piece)];
      else frames.push(['data', id, hex(piece)]);
    },
    window: (id, credit) => frames.push(['window', id, credit.toString(16).padStart(8, '0')]),
    fin: (id) => frames.push(['fin', id, '']),
    reset: (id) => frames.push(['reset', id, '']),
    ping: (token) => frames.push(['ping', 0, hex(token)]),
    pong: (token) => frames.push(['pong', 0, hex(token)]),
    datagram: (id, payload) => frames.push(['datagram', id, hex(payload)]),
    rekey: () => frames.push(['rekey', 0, '']),
    handshake1: (message) => frames.push(['handshake1', 0, hex(message)]),
    handshake2: (message) => frames.push(['handshake2', 0, hex(message)]),
    switchKeys: () => frames.push(['switchKeys', 0, '']),
    goAway: () => frames.push(['goAway', 0, '']),
  };
}

const frame = (type: FrameType, id: number, payload: Buffer = Buffer.alloc(0)): Buffer =>
  Buffer.concat([encodeHeader(type, id, payload.length), payload]);

/** The record cut at these places, each a fraction of its length. */
function cutAt(record: Buffer, places: readonly number[]): Buffer[] {
  const offsets = [...new Set(places.map((place) => Math.floor(place * record.length)))].sort((a, b) => a - b);
  return [0, ...offsets].map((start, index) => record.subarray(start, offsets[index] ?? record.length));
}

const bytes = (minLength: number, maxLength: number) =>
  fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array));

const anyFrame = fc.oneof(
  fc.tuple(fc.constant('open' as const), fc.nat(), bytes(23, 256)),
  fc.tuple(fc.constant('opened' as const), fc.nat(), bytes(4, 4)),
  fc.tuple(fc.constant('data' as const), fc.nat(), bytes(1, 600)),
  fc.tuple(fc.constant('window' as const), fc.nat(), bytes(4, 4)),
  fc.tuple(fc.constant('fin' as const), fc.nat(), bytes(0, 0)),
  fc.tuple(fc.constant('reset' as const), fc.nat(), bytes(0, 0)),
  fc.tuple(fc.constant('datagram' as const), fc.nat(), bytes(0, 600)),
  fc.tuple(fc.constant('ping' as const), fc.constant(0), bytes(8, 8)),
  fc.tuple(fc.constant('goAway' as const), fc.constant(0), bytes(0, 0)),
);

describe('decodeRecord', () => {
  it('gives back what was written, wherever the record is torn', () => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { minLength: 1, maxLength: 12 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 40 }),
        (frames, places) => {
          const record = Buffer.concat(frames.map(([name, id, payload]) => frame(FRAME[name], id, payload)));
          const whole = recorder();
          decodeRecord([record], whole);
          const torn = recorder();
          decodeRecord(cutAt(record, places), torn);
          expect(torn.frames).toEqual(whole.frames);
          const data = frames
            .filter(([name]) => name !== 'data')
            .map(([name, id, payload]) => [name, id, payload.toString('hex')]);
          expect(torn.frames.filter(([name]) => name !== 'data')).toEqual(data);
        },
      ),
    );
  });

  it('throws nothing but MuxError, whatever comes', () => {
    fc.assert(
      fc.property(
        bytes(0, 200),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 }),
        (rubbish, places) => {
          try {
            decodeRecord(cutAt(rubbish, places), recorder());
          } catch (error) {
            expect(error).toBeInstanceOf(MuxError);
          }
        },
      ),
    );
  });

  it.each([
    ['unknown-frame', Buffer.concat([Buffer.of(99), Buffer.alloc(8)])],
    ['unknown-frame', Buffer.alloc(9)],
    ['truncated', Buffer.of(FRAME.fin)],
    ['truncated', encodeHeader(FRAME.data, 1, 10)],
    ['truncated', Buffer.concat([encodeHeader(FRAME.ping, 0, 8), Buffer.alloc(7)])],
    ['wrong-length', encodeHeader(FRAME.data, 1, 0)],
    ['wrong-length', encodeHeader(FRAME.data, 1, MAXIMUM_DATA + 1)],
    ['wrong-length', encodeHeader(FRAME.open, 1, 0xffffffff)],
    ['wrong-length', frame(FRAME.window, 1, Buffer.alloc(5))],
    ['wrong-length', encodeHeader(FRAME.datagram, 1, 65_508)],
    ['wrong-stream', frame(FRAME.ping, 7, Buffer.alloc(8))],
    ['not-last', Buffer.concat([frame(FRAME.rekey, 0), frame(FRAME.fin, 1)])],
    ['not-last', Buffer.concat([frame(FRAME.switchKeys, 0), Buffer.of(0)])],
  ])('refuses: %s', (code, record) => {
    expect(() => decodeRecord([record], recorder())).toThrow(expect.objectContaining({ code }));
  });

  it('looks no further once the tunnel has ended', () => {
    const handler = recorder();
    const stopping = {
      ...handler,
      get stopped() {
        return handler.frames.length > 0;
      },
    };
    decodeRecord([Buffer.concat([frame(FRAME.fin, 1), frame(FRAME.fin, 3)])], stopping);
    expect(handler.frames).toEqual([['fin', 1, '']]);
  });
});

const request: OpenRequest = {
  flowId: '0123456789abcdef',
  protocol: 'tcp',
  service: 'redis',
  ordinal: 3,
  port: 6379,
  source: { type: 'service', name: 'web' },
};

describe('OPEN', () => {
  it.each<OpenRequest>([
    request,
    { ...request, protocol: 'udp', ordinal: 0xffffffff, port: 65_535 },
    { ...request, source: { type: 'host' } },
    { ...request, source: { type: 'internet', address: '2001:db8::1' }, service: 'a'.repeat(50) },
  ])('comes back as it was', (each) => {
    const window = each.protocol === 'tcp' ? 65_536 : 0;
    expect(decodeOpen(encodeOpen(each, window))).toEqual({ request: each, window });
  });

  it.each([
    ['tcp', 0x8000_0000],
    ['tcp', 0xffff_ffff],
    ['udp', 1],
  ] as const)('of %s does not come with a window of %i', (protocol, window) => {
    const payload = encodeOpen({ ...request, protocol }, 0);
    payload.writeUInt32BE(window);
    expect(() => decodeOpen(payload)).toThrow(expect.objectContaining({ code: 'malformed-open' }));
  });

  it.each<OpenRequest>([
    { ...request, flowId: '0123' },
    { ...request, flowId: '0123456789ABCDEF' },
    { ...request, port: 0 },
    { ...request, port: 65_536 },
    { ...request, ordinal: -1 },
    { ...request, service: '' },
    { ...request, service: 'Redis' },
    { ...request, service: 'réd' },
    { ...request, service: 'a'.repeat(300) },
    { ...request, source: { type: 'service', name: '../x' } },
    { ...request, source: { type: 'internet', address: 'a b' } },
  ])('is not written out of form: %j', (each) => {
    expect(() => encodeOpen(each, 0)).toThrow(OpenError);
  });

  it('is refused with any byte missing, added or the text out of form', () => {
    const payload = encodeOpen(request, 1);
    for (let length = 21; length < payload.length; length++) {
      expect(() => decodeOpen(payload.subarray(0, length))).toThrow(MuxError);
    }
    expect(() => decodeOpen(Buffer.concat([payload, Buffer.of(0)]))).toThrow(MuxError);
    for (const [offset, value] of [
      [12, 3],
      [19, 0],
      [19, 2],
      [19, 4],
      [21, 0x57],
    ] as const) {
      const wrong = Buffer.from(payload);
      wrong[offset] = value;
      expect(() => decodeOpen(wrong)).toThrow(MuxError);
    }
  });
});

describe('REFUSED', () => {
  it('comes back, with its texts cut to their bounds between characters', () => {
    const refusal = { code: 'denied', rule: 'no-admin-ui', revision: 2 ** 40, detail: 'Grüße' } as const;
    expect(decodeRefusal(encodeRefusal(refusal))).toEqual(refusal);
    const long = decodeRefusal(encodeRefusal({ ...refusal, rule: 'é'.repeat(200), detail: 'x'.repeat(5000) }));
    expect([long.rule.length, long.detail.length]).toEqual([127, 512]);
  });

  it('does not let a peer steer a terminal', () => {
    const { detail } = decodeRefusal(encodeRefusal({ code: 'denied', rule: '', revision: 0, detail: 'a\x1b[2Jb\nc' }));
    expect(detail).toBe('a [2Jb c');
  });

  it('is refused out of form', () => {
    fc.assert(
      fc.property(bytes(12, 60), (payload) => {
        try {
          decodeRefusal(payload);
        } catch (error) {
          expect(error).toBeInstanceOf(MuxError);
        }
      }),
    );
  });
});

describe('ByteQueue', () => {
  it('is a queue of bytes, whatever the pieces', () => {
    const step = fc.oneof(
      fc.record({ push: bytes(0, 9000), owned: fc.boolean() }),
      fc.record({ shift: fc.integer({ min: 1, max: 12_000 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = new ByteQueue();
        let model = Buffer.alloc(0);
        for (const each of steps) {
          if ('push' in each) {
            const piece = Buffer.from(each.push);
            model = Buffer.concat([model, piece]);
            queue.push(piece, each.owned);
            // What was not owned may be overwritten at once.
            if (!each.owned) piece.fill(0xee);
          } else {
            const piece = queue.shift(each.shift) ?? Buffer.alloc(0);
            expect(piece.length).toBeLessThanOrEqual(each.shift);
            expect(piece.equals(model.subarray(0, piece.length))).toBe(true);
            model = model.subarray(piece.length);
          }
          expect(queue.length).toBe(model.length);
        }
      }),
    );
  });

  it('does not keep a large record alive for a small piece of it', () => {
    const queue = new ByteQueue();
    const record = Buffer.alloc(256 * 1024);
    queue.push(record.subarray(0, 5000), true);
    queue.push(record.subarray(5000, 5001), true);
    expect(queue.shift(10_000)?.buffer).not.toBe(record.buffer);
    expect(queue.shift(10_000)?.buffer).not.toBe(record.buffer);
  });
});
