import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MuxError } from './errors.ts';
import { decodeRecord, encodeHeader } from './frames.ts';
import { FRAME, type FrameHandler, type FrameType, MAXIMUM_DATA, MAXIMUM_DATAGRAM } from './types.ts';

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
          decodeRecord([record], whole, true);
          const torn = recorder();
          decodeRecord(cutAt(record, places), torn, true);
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
            decodeRecord(cutAt(rubbish, places), recorder(), true);
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
    expect(() => decodeRecord([record], recorder(), true)).toThrow(expect.objectContaining({ code }));
  });

  it('looks no further once the tunnel has ended', () => {
    const handler = recorder();
    const stopping = {
      ...handler,
      get stopped() {
        return handler.frames.length > 0;
      },
    };
    decodeRecord([Buffer.concat([frame(FRAME.fin, 1), frame(FRAME.fin, 3)])], stopping, true);
    expect(handler.frames).toEqual([['fin', 1, '']]);
  });

  const BOUNDS = [
    ['open', 1, 23, 256],
    ['opened', 1, 4, 4],
    ['refused', 1, 12, 1_024],
    ['data', 1, 1, MAXIMUM_DATA],
    ['window', 1, 4, 4],
    ['fin', 1, 0, 0],
    ['reset', 1, 0, 0],
    ['datagram', 1, 0, MAXIMUM_DATAGRAM],
    ['ping', 0, 8, 8],
    ['pong', 0, 8, 8],
    ['goAway', 0, 0, 0],
    ['handshake1', 0, 1, 8_192],
    ['handshake2', 0, 1, 8_192],
    ['switchKeys', 0, 0, 0],
    ['rekey', 0, 0, 0],
  ] as const;

  it('knows the bounds of every frame there is', () => {
    expect(new Set<string>(BOUNDS.map(([name]) => name))).toEqual(new Set(Object.keys(FRAME)));
  });

  it.each(BOUNDS)('takes %s on stream %i from %i to %i bytes, alone in its record', (name, id, minimum, maximum) => {
    for (const length of [minimum, maximum]) {
      const { frames, ...handler } = recorder();
      decodeRecord([frame(FRAME[name], id, Buffer.alloc(length))], handler, true);
      expect(frames).toEqual([[name, id, '00'.repeat(length)]]);
    }
    for (const length of [minimum - 1, maximum + 1]) {
      if (length < 0) continue;
      const { frames, ...handler } = recorder();
      const record = [frame(FRAME[name], id, Buffer.alloc(length))];
      expect(() => decodeRecord(record, handler, true)).toThrow(expect.objectContaining({ code: 'wrong-length' }));
      expect(frames).toEqual([]);
    }
  });

  it.each(BOUNDS)('takes %s, which belongs to stream %i, on no other kind', (name, id, minimum) => {
    const elsewhere = frame(FRAME[name], 7, Buffer.alloc(minimum));
    const decode = () => decodeRecord([elsewhere], recorder(), true);
    if (id === 0) expect(decode).toThrow(expect.objectContaining({ code: 'wrong-stream' }));
    else expect(decode).not.toThrow();
  });

  it.each(BOUNDS)('lets another frame follow %s unless the key changes with it', (name, id, minimum) => {
    const changesKey = ['handshake2', 'switchKeys', 'rekey'].includes(name);
    const record = [frame(FRAME[name], id, Buffer.alloc(minimum)), frame(FRAME.fin, 1)];
    const decode = () => decodeRecord(record, recorder(), true);
    if (changesKey) expect(decode).toThrow(expect.objectContaining({ code: 'not-last' }));
    else expect(decode).not.toThrow();
  });

  it('hands on what may be kept of a record that is used again, and data and datagrams as they lie there', () => {
    const record = Buffer.concat([
      frame(FRAME.ping, 0, Buffer.from('a token!')),
      frame(FRAME.datagram, 1, Buffer.from('a datagram')),
      frame(FRAME.open, 3, Buffer.alloc(30, 'asks')),
      frame(FRAME.data, 1, Buffer.from('some data')),
    ]);
    for (const owned of [true, false]) {
      const kept: Buffer[] = [];
      const lies: boolean[] = [];
      const handler: FrameHandler = {
        ...recorder(),
        ping: (token) => kept.push(token),
        datagram: (_id, payload) => lies.push(payload.buffer === again.buffer),
        open: (_id, payload) => kept.push(payload),
        data: (_id, piece, yours) => lies.push(yours, piece.buffer === again.buffer),
      };
      const again = Buffer.from(record);
      decodeRecord([again], handler, owned);
      if (!owned) again.fill(0);
      expect(kept.map(String)).toEqual(['a token!', 'asks'.repeat(8).slice(0, 30)]);
      expect(lies).toEqual([true, owned, true]);
    }
  });

  it('hands on nothing of a frame whose end is not there', () => {
    for (const type of [FRAME.data, FRAME.datagram]) {
      const handler = recorder();
      const record = [encodeHeader(type, 1, 10), Buffer.alloc(5)];
      expect(() => decodeRecord(record, handler, true)).toThrow(expect.objectContaining({ code: 'truncated' }));
      expect(handler.frames).toEqual([]);
    }
  });
});
