/** Thousands of streams, opened by both ends at once and reset at every moment of their life. */
import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { fullCollector } from '../../bytes/inside/collector.ts';
import { asStream, type End, frame, request, User, World } from './ends.fixture.ts';
import { encodeCredit } from './frames.ts';
import { MuxStream } from './stream.ts';
import { FRAME } from './types.ts';
import { INITIAL_WINDOW } from './window.ts';

const BATCH = 250;
const BATCHES = 12;

/** What became of the streams that one end asked for. */
interface Count {
  asked: number;
  opened: number;
  refused: number;
  givenUp: number;
  /** Ends told to users, of either end. */
  ended: number;
}

/** One end asks for a batch; every second is given up at once or before the answer. */
function ask(end: End, count: Count, users: User[]): (() => void)[] {
  const giveUps: (() => void)[] = [];
  for (let index = 0; index < BATCH; index++) {
    count.asked += 1;
    const giveUp = end.mux.request(request, {
      ...asStream((stream) => {
        count.opened += 1;
        users.push(new User(stream));
      }),
      refused: () => {
        count.refused += 1;
      },
    });
    if (index % 2 === 0) continue;
    const counted = (): void => {
      giveUp();
      count.givenUp += 1;
    };
    // Some before their OPEN has left, the rest when it is on its way or there.
    if (index % 4 === 1) counted();
    else giveUps.push(counted);
  }
  return giveUps;
}

/** Answers what the end was offered; some offers are given up by now. */
function answer(end: End, users: User[]): void {
  for (const [index, offer] of end.offers.splice(0).entries()) {
    if (index % 10 === 9) offer.refuse({ code: 'denied', rule: 'r', revision: 1, detail: '' });
    else {
      const entry = offer.accept();
      if (entry instanceof MuxStream) users.push(new User(entry));
    }
  }
}

it('leave nothing behind, and each is told of its end once', async () => {
  const world = new World();
  const count: Count = { asked: 0, opened: 0, refused: 0, givenUp: 0, ended: 0 };
  const users: User[] = [];
  for (let batch = 0; batch < BATCHES; batch++) {
    const giveUps = [...ask(world.a, count, users), ...ask(world.b, count, users)];
    if (batch % 2 === 0) {
      // Their OPENs are there, and nobody has answered yet.
      world.settle();
      for (const giveUp of giveUps) giveUp();
      world.settle();
      answer(world.a, users);
      answer(world.b, users);
    } else {
      // The answers cross what gives them up.
      world.settle();
      answer(world.a, users);
      answer(world.b, users);
      for (const giveUp of giveUps) giveUp();
    }
    world.settle();
    for (const [index, user] of users.splice(0).entries()) {
      if (index % 3 > 0) user.stream.write(Buffer.alloc(index % 9_000), true);
      if (index % 5 === 0) user.stream.end();
      if (index % 7 === 0) world.settle();
      user.stream.reset();
      user.stream.reset();
      // A user that attached to a stream that was over is told in the next microtask.
      await Promise.resolve();
      expect(user.log.filter((word) => word === 'reset' || word === 'closed')).toHaveLength(1);
      count.ended += 1;
    }
    world.settle();
    expect([world.a.mux.size, world.b.mux.size]).toEqual([0, 0]);
  }
  expect(count.asked).toBe(2 * BATCH * BATCHES);
  expect(count.opened + count.refused + count.givenUp).toBe(count.asked);
  expect(count.givenUp).toBe(count.asked / 2);
  expect(count.ended).toBeGreaterThan(count.opened);

  const { near, far } = world.open();
  expect([near.stream.credit, far.stream.credit]).toEqual([INITIAL_WINDOW, INITIAL_WINDOW]);
  near.stream.write(Buffer.alloc(1_000_000), true);
  near.stream.end();
  world.settle();
  expect([far.received, far.log]).toEqual([1_000_000, ['end']]);
});

it('that are over are forgotten, and frames that come late for them are passed over', () => {
  const world = new World();
  const ids: number[] = [];
  for (let index = 0; index < 2_000; index++) {
    const { near } = world.open();
    ids.push(near.stream.id);
    near.stream.reset();
    world.settle();
  }
  for (const id of ids) {
    world.b.mux.receive(
      [
        Buffer.concat([
          frame(FRAME.data, id, Buffer.alloc(10)),
          frame(FRAME.window, id, encodeCredit(10)),
          frame(FRAME.fin, id),
          frame(FRAME.reset, id),
        ]),
      ],
      true,
    );
  }
  // Nothing is answered, either: two ends could go on for ever.
  expect(world.b.flushed()).toEqual([]);
  expect([world.a.mux.size, world.b.mux.size]).toEqual([0, 0]);
});

/** Opens a flow and ends it. Answers what of it is there at either end. */
function passing(world: World): readonly WeakRef<object>[] {
  let near: MuxStream | undefined;
  const asked = asStream((stream) => {
    near = stream;
  });
  world.a.mux.request(request, asked);
  world.settle();
  const offer = world.b.offers.pop();
  const far = offer?.accept();
  world.settle();
  if (near === undefined || !(far instanceof MuxStream) || offer === undefined) throw new Error('not opened');
  const users = [new User(near), new User(far)];
  for (const { stream } of users) stream.end();
  world.settle();
  if (users.some(({ log }) => !log.includes('closed'))) throw new Error('not over');
  return [asked, offer, near, far].map((each) => new WeakRef(each));
}

it('keeps what was over last while none is open, and no more', async () => {
  const collect = fullCollector();
  if (collect === undefined) throw new Error('nothing collects here');
  const world = new World();
  const [earlier, last] = [passing(world), passing(world)];
  // What was looked at in a turn stays until that is over.
  await setImmediate();
  collect(false);
  expect(last.map((each) => each.deref() !== undefined)).toEqual([true, true, true, true]);
  expect(earlier.map((each) => each.deref() !== undefined)).toEqual([false, false, false, false]);
});
