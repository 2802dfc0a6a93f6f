/** Two machines, joined in memory: no sockets, no clock but the test's. */
import { describe, expect, it } from 'vitest';
import type { PeerRefusal } from '../../words/opening.ts';
import { frame, request, World } from './ends.fixture.ts';
import { encodeCredit } from './frames.ts';
import { decodeRefusal, encodeOpen, encodeRefusal } from './opening.ts';
import { FRAME } from './types.ts';
import { INITIAL_WINDOW, MINIMUM_WINDOW } from './window.ts';

describe('streams', () => {
  it('close when both sides have ended, each in its time', () => {
    const world = new World();
    const { near, far } = world.open();
    near.stream.end();
    world.settle();
    expect([near.log, far.log]).toEqual([[], ['end']]);
    far.stream.write(Buffer.alloc(10), true);
    far.stream.end();
    world.settle();
    expect([near.log, far.log, near.received]).toEqual([['end', 'closed'], ['end', 'closed'], 10]);
    expect([world.a.mux.size, world.b.mux.size]).toEqual([0, 0]);
  });

  it('keep the bytes of a paused reader within its window, and go on when it resumes', () => {
    const world = new World();
    const { near, far } = world.open();
    far.stream.pause();
    expect(near.stream.write(Buffer.alloc(INITIAL_WINDOW), true)).toBe(false);
    near.stream.write(Buffer.alloc(100_000), true);
    near.stream.end();
    world.settle();
    expect([far.received, near.drains]).toEqual([0, 0]);
    far.stream.resume();
    world.settle();
    expect(far.received).toBe(INITIAL_WINDOW + 100_000);
    expect(far.log).toEqual(['end']);
  });

  it('end with a reset when the tunnel fails', () => {
    const world = new World();
    const { near } = world.open();
    const answers: string[] = [];
    world.a.mux.request(request, {
      opened: () => answers.push('opened'),
      refused: () => answers.push('refused'),
      failed: () => answers.push('failed'),
    });
    world.a.mux.fail(new Error('gone'));
    expect(near.log).toEqual(['reset']);
    expect(answers).toEqual(['failed']);
    expect(world.a.mux.takesStreams).toBe(false);
  });

  it('take turns when the tunnel is backed up', () => {
    const world = new World();
    const streams = Array.from({ length: 4 }, () => world.open());
    world.a.backlog = 1e9;
    for (const { near } of streams) near.stream.write(Buffer.alloc(200_000), true);
    world.settle();
    expect(streams.map(({ far }) => far.received)).toEqual([0, 0, 0, 0]);
    world.a.backlog = 0;
    world.a.mux.flush();
    const order = world.a.sent.flatMap((record) => dataFrames(record));
    // No stream gets a second turn before every stream had one.
    expect(new Set(order.slice(0, 4)).size).toBe(4);
    world.settle();
    expect(streams.map(({ far }) => far.received)).toEqual([200_000, 200_000, 200_000, 200_000]);
    expect(streams.map(({ near }) => near.drains)).toEqual([1, 1, 1, 1]);
  });
});

/** Stream ids of the DATA frames of a record, in order. */
function dataFrames(record: Buffer): number[] {
  const ids: number[] = [];
  for (let offset = 0; offset < record.length; offset += 9 + record.readUInt32BE(offset + 5)) {
    if (record[offset] === FRAME.data) ids.push(record.readUInt32BE(offset + 1));
  }
  return ids;
}

describe('windows', () => {
  it('grow while they set the pace, and not on an idle path', () => {
    const world = new World();
    const { near, far } = world.open();
    world.a.mux.roundTrip = 100;
    world.b.mux.roundTrip = 100;
    for (let round = 0; round < 8; round++) {
      world.clock.now += 100;
      const { credit } = near.stream;
      near.stream.write(Buffer.alloc(credit), true);
      world.settle();
    }
    expect(near.stream.credit).toBeGreaterThan(8 * 2 ** 20);
    const slow = world.open();
    for (let round = 0; round < 8; round++) {
      world.clock.now += 10_000;
      slow.near.stream.write(Buffer.alloc(200_000), true);
      world.settle();
    }
    expect(slow.near.stream.credit).toBeLessThanOrEqual(INITIAL_WINDOW);
    expect(far.received).toBeGreaterThan(0);
  });

  it('shrink to what the budget of the tunnel leaves', () => {
    const world = new World({ streams: 100, offers: 100, windows: 2 * 2 ** 20 });
    const streams = Array.from({ length: 40 }, () => world.open());
    const promised = streams.reduce((sum, { near }) => sum + near.stream.credit, 0);
    expect(streams.at(-1)?.near.stream.credit).toBe(MINIMUM_WINDOW);
    expect(promised).toBeLessThan(2.5 * 2 ** 20);
    for (const { near } of streams) near.stream.reset();
    world.settle();
    expect(world.open().near.stream.credit).toBe(INITIAL_WINDOW);
  });
});

describe('offers', () => {
  const answer = (world: World): { refusals: PeerRefusal[] } => {
    const refusals: PeerRefusal[] = [];
    world.a.mux.request(request, {
      opened: () => undefined,
      refused: (refusal) => refusals.push(refusal),
      failed: () => undefined,
    });
    return { refusals };
  };

  it('over the bound are refused as overloaded', () => {
    const world = new World({ streams: 100, offers: 2, windows: 2 ** 24 });
    const asked = Array.from({ length: 3 }, () => answer(world));
    world.settle();
    expect(world.b.offers).toHaveLength(2);
    expect(asked.map(({ refusals }) => refusals[0]?.code)).toEqual([undefined, undefined, 'overloaded']);
  });

  it('that the peer gave up still count until they are answered: their work goes on', () => {
    const world = new World({ streams: 100, offers: 2, windows: 2 ** 24 });
    for (let index = 0; index < 2; index++) {
      world.a.mux.request(request, { opened: () => undefined, refused: () => undefined, failed: () => undefined })();
    }
    const third = answer(world);
    world.settle();
    expect(world.b.offers.map((offer) => offer.gone)).toEqual([true, true]);
    expect(third.refusals[0]?.code).toBe('overloaded');
    for (const offer of world.b.offers) offer.refuse({ code: 'no-instance', rule: '', revision: 0, detail: '' });
    const fourth = answer(world);
    world.settle();
    expect(fourth.refusals).toEqual([]);
    expect(world.b.offers).toHaveLength(3);
  });
});

describe('a peer of a newer version', () => {
  it('is refused one flow that is not known here, and the tunnel goes on', () => {
    const world = new World();
    const { near, far } = world.open();
    const payload = encodeOpen(request, 1_000);
    payload[12] = 3;
    world.b.mux.receive([frame(FRAME.open, far.stream.id + 2, payload)], true);
    const [refused] = world.b.flushed().filter(({ type }) => type === FRAME.refused);
    expect(decodeRefusal(refused?.payload ?? Buffer.alloc(12))).toMatchObject({
      code: 'no-instance',
      detail: 'the destination agent is of an older version, and knows no protocol 3',
    });
    near.stream.write(Buffer.from('still here'), true);
    world.settle();
    expect(far.received).toBe('still here'.length);
  });

  it('refuses for a reason that is not known, and the tunnel goes on', () => {
    const world = new World();
    const codes: string[] = [];
    const events = { opened: () => undefined, failed: () => undefined };
    world.a.mux.request(request, { ...events, refused: ({ code }) => codes.push(code) });
    world.settle();
    const payload = encodeRefusal({ code: 'overloaded', rule: '', revision: 0, detail: '' });
    payload[0] = 99;
    world.a.mux.receive([frame(FRAME.refused, 1, payload)], true);
    expect(codes).toEqual(['other']);
    expect(world.a.mux.takesStreams).toBe(true);
  });
});

describe('a peer that breaks the protocol', () => {
  const cases: readonly (readonly [code: string, records: (id: number) => Buffer])[] = [
    [
      'window-overrun',
      (id) =>
        Buffer.concat([frame(FRAME.data, id, Buffer.alloc(200_000)), frame(FRAME.data, id, Buffer.alloc(62_145))]),
    ],
    ['window-overflow', (id) => frame(FRAME.window, id, encodeCredit(0x7fffffff))],
    ['wrong-state', (id) => Buffer.concat([frame(FRAME.fin, id), frame(FRAME.data, id, Buffer.alloc(1))])],
    ['wrong-state', (id) => Buffer.concat([frame(FRAME.fin, id), frame(FRAME.fin, id)])],
    ['wrong-state', (id) => frame(FRAME.data, id + 2, Buffer.alloc(1))],
    ['wrong-state', () => frame(FRAME.reset, 0)],
    ['wrong-state', (id) => frame(FRAME.datagram, id, Buffer.alloc(1))],
    ['wrong-stream', (id) => frame(FRAME.open, id, Buffer.alloc(30))],
    ['wrong-stream', (id) => frame(FRAME.open, id + 1, Buffer.alloc(30))],
    ['malformed-open', (id) => frame(FRAME.open, id + 2, Buffer.alloc(30))],
    ['wrong-state', () => Buffer.concat([frame(FRAME.goAway, 0), frame(FRAME.goAway, 0)])],
  ];
  it.each(cases)('is told so: %s', (code, records) => {
    const world = new World();
    const { far } = world.open();
    far.stream.pause();
    expect(() => world.b.mux.receive([records(far.stream.id)], true)).toThrow(expect.objectContaining({ code }));
  });

  it('is told so when it answers with more credit than a window can hold', () => {
    const world = new World();
    world.a.mux.request(request, { opened: () => undefined, refused: () => undefined, failed: () => undefined });
    world.settle();
    expect(() => world.a.mux.receive([frame(FRAME.opened, 1, encodeCredit(0x8000_0000))], true)).toThrow(
      expect.objectContaining({ code: 'window-overflow' }),
    );
  });

  it('and makes us answer without reading is told so', () => {
    const world = new World();
    world.b.backlog = 1e9;
    expect(() => world.b.mux.receive([frame(FRAME.ping, 0, Buffer.alloc(8))], true)).toThrow(
      expect.objectContaining({ code: 'flood' }),
    );
  });

  it('is not accused for frames of a stream that has just ended', () => {
    const world = new World();
    const { near, far } = world.open();
    far.stream.reset();
    near.stream.write(Buffer.alloc(100), true);
    near.stream.end();
    world.settle();
    expect(near.log).toEqual(['reset']);
  });
});

describe('leaving', () => {
  it('ends the tunnel only when both have said so and the last stream is over', () => {
    const world = new World();
    const { near, far } = world.open();
    world.b.mux.leave();
    world.settle();
    expect(world.a.mux.takesStreams).toBe(false);
    expect([world.a.drainedTold, world.b.drainedTold]).toEqual([0, 0]);
    near.stream.end();
    far.stream.end();
    world.settle();
    expect([world.a.drainedTold, world.b.drainedTold]).toEqual([1, 1]);
  });
});
