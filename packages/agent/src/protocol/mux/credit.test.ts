/** What a sender may send, to the byte, and what the windows of a tunnel add up to. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asStream, End, type Frame, frame, request, User, World } from './ends.fixture.ts';
import { encodeCredit } from './frames.ts';
import type { MuxLimits } from './mux.ts';
import { FRAME } from './types.ts';
import { INITIAL_WINDOW, MINIMUM_WINDOW } from './window.ts';

const MIB = 2 ** 20;
const ignored = asStream(() => undefined);

function dataOf(frames: readonly Frame[], id: number): Buffer {
  return Buffer.concat(frames.filter((one) => one.type === FRAME.data && one.id === id).map(({ payload }) => payload));
}

/** Bytes that tell where they stood. */
function counted(length: number, from = 0): Buffer {
  return Buffer.from(Array.from({ length }, (_, at) => (from + at) % 251));
}

describe('a sender', () => {
  it.each([0, 1, 9, 4_095, 4_096, 4_097, 65_536, 65_537, INITIAL_WINDOW])(
    'stops at %i bytes of credit, and goes on with each byte that is given',
    (credit) => {
      const end = new End(true, { now: 0 });
      const { stream, ...user } = new User(end.openWith(credit));
      const total = credit + 70_000;
      expect(stream.write(counted(total), true)).toBe(false);
      stream.end();
      let sent = dataOf(end.flushed(), stream.id);
      expect(sent.length).toBe(credit);
      for (const more of [1, 4_096, 1, 60_000]) {
        end.mux.receive([frame(FRAME.window, stream.id, encodeCredit(more))], true);
        const next = dataOf(end.flushed(), stream.id);
        expect(next.length).toBe(more);
        sent = Buffer.concat([sent, next]);
      }
      // More than it has: the rest, and only now its end.
      end.mux.receive([frame(FRAME.window, stream.id, encodeCredit(MIB))], true);
      const last = end.flushed();
      expect(last.at(-1)).toMatchObject({ type: FRAME.fin, id: stream.id });
      expect(Buffer.concat([sent, dataOf(last, stream.id)]).equals(counted(total))).toBe(true);
      expect(user.log).toEqual([]);
    },
  );

  it('sends no byte too many or too few, in order, whatever is written and given', () => {
    const size = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 9_000 }), fc.nat(300_000));
    const step = fc.record({ does: fc.constantFrom('write', 'grant', 'turn', 'stall'), size });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.nat(300_000), (steps, first) => {
        const end = new End(true, { now: 0 });
        const { stream } = new User(end.openWith(first));
        let [written, credit] = [0, first];
        const sent: Buffer[] = [];
        for (const { does, size: bytes } of [...steps, { does: 'turn', size: 0 }]) {
          if (does === 'write') {
            stream.write(counted(bytes, written), true);
            written += bytes;
          } else if (does === 'grant' && bytes > 0) {
            end.mux.receive([frame(FRAME.window, stream.id, encodeCredit(bytes))], true);
            credit += bytes;
          } else {
            end.backlog = does === 'stall' ? MIB : 0;
            if (does === 'turn') {
              end.asked = true;
              sent.push(dataOf(end.flushed(), stream.id));
            }
          }
        }
        const out = Buffer.concat(sent);
        expect(out.length).toBe(Math.min(written, credit));
        expect(out.equals(counted(out.length))).toBe(true);
        expect(stream.credit).toBe(credit - out.length);
      }),
      { numRuns: 60 },
    );
  });

  it('is told of room once it has credit again, and not before', () => {
    const end = new End(true, { now: 0 });
    const user = new User(end.openWith(100));
    expect(user.stream.write(Buffer.alloc(150), true)).toBe(false);
    end.flushed();
    expect(user.drains).toBe(0);
    end.mux.receive([frame(FRAME.window, user.stream.id, encodeCredit(50))], true);
    end.flushed();
    // All went out; but there is no credit for another byte.
    expect(user.drains).toBe(0);
    end.mux.receive([frame(FRAME.window, user.stream.id, encodeCredit(1))], true);
    end.flushed();
    expect(user.drains).toBe(1);
  });

  it('without credit stops no other: not one of fifty, and not for a turn', () => {
    const end = new End(true, { now: 0 });
    const dry = Array.from({ length: 50 }, () => new User(end.openWith(0)));
    for (const { stream } of dry) stream.write(Buffer.alloc(100_000), true);
    const wet = new User(end.openWith(8 * MIB));
    // Backed up first, so that all stand in line.
    end.backlog = MIB;
    wet.stream.write(counted(4 * MIB), true);
    expect(dataOf(end.flushed(), wet.stream.id).length).toBe(0);
    end.backlog = 0;
    end.asked = true;
    const frames = end.flushed();
    expect(dataOf(frames, wet.stream.id).equals(counted(4 * MIB))).toBe(true);
    expect(frames.every(({ id }) => id === wet.stream.id)).toBe(true);
    expect(wet.drains).toBe(1);
    expect(dry.every(({ drains }) => drains === 0)).toBe(true);
    // A reset of a dry one costs a frame, and its queue is gone.
    for (const { stream } of dry) stream.reset();
    expect(end.flushed().every(({ type }) => type === FRAME.reset)).toBe(true);
    expect(end.mux.size).toBe(1);
  });
});

describe('a receiver', () => {
  /** Says so many bytes to the far end, as a peer that keeps no account. */
  function pour(world: World, id: number, bytes: number): void {
    for (let left = bytes; left > 0; left -= Math.min(left, 200_000)) {
      world.b.mux.receive([frame(FRAME.data, id, Buffer.alloc(Math.min(left, 200_000)))], true);
    }
  }

  const granted = (frames: readonly Frame[]): number =>
    frames.reduce((sum, { type, payload }) => (type === FRAME.window ? sum + payload.readUInt32BE() : sum), 0);

  const overrun = expect.objectContaining({ code: 'window-overrun' });

  it('takes what it has promised, to the byte, and not one more', () => {
    const world = new World();
    const { far } = world.open();
    far.stream.pause();
    pour(world, far.stream.id, INITIAL_WINDOW);
    expect(() => pour(world, far.stream.id, 1)).toThrow(overrun);
  });

  it('takes what it has promised later, to the byte, and not one more', () => {
    const world = new World();
    const { far } = world.open();
    let credit = INITIAL_WINDOW;
    for (const bytes of [1, 130_000, 100, 200_000, INITIAL_WINDOW]) {
      pour(world, far.stream.id, Math.min(bytes, credit));
      credit += granted(world.b.flushed()) - Math.min(bytes, credit);
    }
    expect(far.received).toBeGreaterThan(INITIAL_WINDOW);
    far.stream.pause();
    pour(world, far.stream.id, credit);
    expect(granted(world.b.flushed())).toBe(0);
    expect(() => pour(world, far.stream.id, 1)).toThrow(overrun);
  });

  it('gives no credit for bytes that its user has not taken, and most of it when it has', () => {
    const world = new World();
    const { far } = world.open();
    // A path so slow that the window does not grow.
    world.clock.now += 60_000;
    far.stream.pause();
    pour(world, far.stream.id, INITIAL_WINDOW);
    expect(granted(world.b.flushed())).toBe(0);
    far.stream.resume();
    const more = granted(world.b.flushed());
    expect(more).toBeGreaterThanOrEqual(INITIAL_WINDOW / 2);
    expect(more).toBeLessThanOrEqual(INITIAL_WINDOW);
  });
});

describe('the windows of a tunnel', () => {
  const limits: MuxLimits = { streams: 1_000, offers: 1_000, windows: 4 * MIB };

  /** One window's worth after the other, each within a round trip: the window sets the pace. */
  function pump(world: World, user: User, rounds: number): void {
    world.a.mux.roundTrip = 100;
    world.b.mux.roundTrip = 100;
    for (let round = 0; round < rounds; round++) {
      world.clock.now += 50;
      user.stream.write(Buffer.alloc(user.stream.credit), true);
      world.settle();
    }
  }

  const promised = (pairs: readonly { readonly near: User }[]): number =>
    pairs.reduce((sum, { near }) => sum + near.stream.credit, 0);

  it('grow to what the budget has, and no further', () => {
    const world = new World(limits);
    const pairs = Array.from({ length: 3 }, () => world.open());
    for (const { near } of pairs) pump(world, near, 12);
    expect(pairs[0]?.near.stream.credit).toBeGreaterThan(MIB);
    expect(promised(pairs)).toBeLessThanOrEqual(limits.windows);
    for (const { near, far } of pairs) expect(far.received).toBeGreaterThan(near.stream.credit);
  });

  it('shrink when many come, keep moving, and grow again when they have gone', () => {
    const world = new World(limits);
    const bulk = world.open();
    pump(world, bulk.near, 12);
    const large = bulk.near.stream.credit;
    expect(large).toBeGreaterThan(MIB);
    const many = Array.from({ length: 300 }, () => world.open());
    expect(many.at(-1)?.near.stream.credit).toBe(MINIMUM_WINDOW);
    expect(promised([bulk, ...many])).toBeLessThanOrEqual(limits.windows + 301 * MINIMUM_WINDOW);
    pump(world, bulk.near, 12);
    expect(bulk.near.stream.credit).toBeLessThanOrEqual(large / 8);
    // Small as they are, all of them move.
    const before = bulk.far.received;
    for (const { near } of [bulk, ...many]) near.stream.write(Buffer.alloc(100_000), true);
    world.settle();
    expect(bulk.far.received).toBe(before + 100_000);
    expect(new Set(many.map(({ far }) => far.received))).toEqual(new Set([100_000]));

    for (const { near } of many) near.stream.reset();
    world.settle();
    pump(world, bulk.near, 12);
    expect(bulk.near.stream.credit).toBe(large);
  });

  it('come back to the budget however a stream ends: reset, closed, refused, given up, lost', () => {
    const world = new World({ ...limits, windows: 2 * MIB });
    const ends: ((pair: { near: User; far: User }) => void)[] = [
      ({ near }) => near.stream.reset(),
      ({ far }) => far.stream.reset(),
      ({ near, far }) => {
        near.stream.end();
        far.stream.end();
      },
      ({ near, far }) => {
        far.stream.pause();
        near.stream.write(Buffer.alloc(MIB), true);
        world.settle();
        near.stream.reset();
        world.settle();
        // What came before the reset is handed on first.
        far.stream.resume();
      },
    ];
    for (let round = 0; round < 200; round++) {
      ends[round % ends.length]?.(world.open());
      const giveUp = world.a.mux.request(request, ignored);
      if (round % 3 === 0) giveUp();
      world.settle();
      for (const offer of world.b.offers.splice(0)) {
        if (round % 2 === 0) offer.refuse({ code: 'no-instance', rule: '', revision: 0, detail: '' });
        else giveUp();
        if (!offer.answered) offer.accept();
      }
      world.settle();
    }
    expect([world.a.mux.size, world.b.mux.size]).toEqual([0, 0]);
    const { near, far } = world.open();
    expect([near.stream.credit, far.stream.credit]).toEqual([INITIAL_WINDOW, INITIAL_WINDOW]);
  });
});
