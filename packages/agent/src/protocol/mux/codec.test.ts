import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OpenRequest } from '../../words/opening.ts';
import { ByteQueue } from './byte-queue.ts';
import { MuxError, OpenError } from './errors.ts';
import { decodeOpen, decodeRefusal, encodeOpen, encodeRefusal } from './opening.ts';

const bytes = (minLength: number, maxLength: number) =>
  fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array));

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
    { ...request, source: { type: 'host', user: 'www-data' } },
    { ...request, source: { type: 'host', user: '' } },
    { ...request, source: { type: 'service', name: 'web', user: '_apt' } },
    { ...request, source: { type: 'service', name: 'web', user: '' } },
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
    { ...request, source: { type: 'service', name: 'web', user: 'a/b' } },
    { ...request, source: { type: 'host', user: '1000' } },
    { ...request, source: { type: 'host', user: 'a'.repeat(33) } },
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
      [12, 0],
      [19, 0],
      [19, 2],
      [21, 0x57],
    ] as const) {
      const wrong = Buffer.from(payload);
      wrong[offset] = value;
      expect(() => decodeOpen(wrong)).toThrow(MuxError);
    }
  });
});

describe('OPEN of a newer version', () => {
  it.each([
    ['protocol 3', 12, 3],
    ['caller of sort 6', 19, 6],
  ])('says what of it is not known: %s', (unknown, offset, value) => {
    const payload = encodeOpen(request, 1);
    payload[offset] = value;
    expect(decodeOpen(payload)).toEqual({ request: undefined, unknown });
    expect(() => decodeOpen(payload.subarray(0, -1))).toThrow(MuxError);
  });
});

describe('REFUSED', () => {
  it('of a code that is not known is `other`, with its words', () => {
    const refusal = { code: 'denied', rule: '', revision: 7, detail: 'out of luck' } as const;
    const payload = encodeRefusal(refusal);
    payload[0] = 99;
    expect(decodeRefusal(payload)).toEqual({ ...refusal, code: 'other' });
    payload[0] = 0;
    expect(() => decodeRefusal(payload)).toThrow(MuxError);
  });

  it('comes back, with its texts cut to their bounds between characters', () => {
    const refusal = { code: 'denied', rule: 'no-admin-ui', revision: 2 ** 40, detail: 'Grüße' } as const;
    expect(decodeRefusal(encodeRefusal(refusal))).toEqual(refusal);
    const long = decodeRefusal(encodeRefusal({ ...refusal, rule: 'é'.repeat(200), detail: 'x'.repeat(5000) }));
    expect([long.rule.length, long.detail.length]).toEqual([127, 512]);
  });

  it('does not let a peer steer a terminal', () => {
    const { detail } = decodeRefusal(
      encodeRefusal({ code: 'denied', rule: '', revision: 0, detail: 'a\x1b[2Jb\nc\u202ed' }),
    );
    expect(detail).toBe('a [2Jb c d');
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
