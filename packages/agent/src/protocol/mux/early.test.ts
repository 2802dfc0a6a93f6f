/** What a caller says before its opening has an answer. */
import { describe, expect, it } from 'vitest';
import { type EarlyData, MAXIMUM_EARLY } from '../../words/opening.ts';
import { frame, request, User, World } from './ends.fixture.ts';
import { encodeCredit } from './frames.ts';
import { encodeOpen } from './opening.ts';
import { MuxStream } from './stream.ts';
import { FRAME } from './types.ts';

/** A caller that says what the test has it say. */
class Caller implements EarlyData {
  #take: ((piece: Buffer) => void) | undefined;

  get followed(): boolean {
    return this.#take !== undefined;
  }

  follow(take: (piece: Buffer) => void): void {
    this.#take = take;
  }

  leave(): void {
    this.#take = undefined;
  }

  say(words: string | number): void {
    this.#take?.(typeof words === 'string' ? Buffer.from(words) : Buffer.alloc(words));
  }
}

function asked(world: World) {
  const caller = new Caller();
  const told: unknown[] = [];
  const events = {
    opened: (entry: unknown, early: number) => told.push({ entry, early }),
    refused: ({ code }: { readonly code: string }) => told.push(code),
    failed: (_cause: Error, early: number) => told.push({ failed: early }),
  };
  const giveUp = world.a.mux.request(request, events, caller);
  return { caller, told, giveUp };
}

describe('early data', () => {
  it('goes in the record of its OPEN, and is there with the stream, before what is said later', () => {
    const world = new World();
    const { caller, told } = asked(world);
    caller.say('first ');
    caller.say('words');
    world.a.mux.flush();
    expect(world.a.sent).toHaveLength(1);
    world.settle();
    const accepted = world.b.offers[0]?.accept();
    if (!(accepted instanceof MuxStream)) throw new Error('no stream');
    world.settle();
    caller.say('and not these');
    world.settle();
    expect(told).toEqual([{ entry: expect.any(MuxStream), early: 11 }]);
    expect(caller.followed).toBe(false);
    const [{ entry }] = told as [{ entry: MuxStream }];
    entry.write(Buffer.from(', more'), true);
    world.settle();
    const heard: Buffer[] = [];
    accepted.attach({
      data: (piece) => heard.push(Buffer.from(piece)),
      end: () => undefined,
      drain: () => undefined,
      closed: () => undefined,
    });
    expect(Buffer.concat(heard).toString()).toBe('first words, more');
  });

  it('counts against the window that the answer gives', () => {
    const plain = new World().open().near.stream.credit;
    const world = new World();
    const { caller, told } = asked(world);
    caller.say(1_000);
    world.settle();
    world.b.offers[0]?.accept();
    world.settle();
    expect((told as [{ entry: MuxStream }])[0].entry.credit).toBe(plain - 1_000);
  });

  it('is as much as may go, from the beginning, and no more after what did not', () => {
    const world = new World();
    const { caller, told } = asked(world);
    caller.say(MAXIMUM_EARLY - 10);
    caller.say(11);
    expect(caller.followed).toBe(false);
    world.settle();
    const accepted = world.b.offers[0]?.accept();
    world.settle();
    expect(told).toEqual([{ entry: expect.any(MuxStream), early: MAXIMUM_EARLY }]);
    if (!(accepted instanceof MuxStream)) throw new Error('no stream');
    expect(new User(accepted).received).toBe(MAXIMUM_EARLY);
  });

  it('is dropped with a refusal, and passed over behind one', () => {
    const world = new World();
    const { caller, told } = asked(world);
    caller.say('first');
    world.settle();
    world.b.offers[0]?.refuse({ code: 'denied', rule: 'r', revision: 1, detail: '' });
    caller.say('on its way');
    world.settle();
    expect(told).toEqual(['denied']);
    expect(caller.followed).toBe(false);
    expect([world.a.mux.size, world.b.mux.size]).toEqual([0, 0]);
  });

  it('is followed no more once its asker gave up', () => {
    const world = new World();
    const { caller, giveUp, told } = asked(world);
    caller.say('first');
    giveUp();
    expect(caller.followed).toBe(false);
    world.settle();
    expect(world.b.offers[0]?.gone).toBe(true);
    world.b.offers[0]?.accept();
    world.settle();
    expect(told).toEqual([]);
  });

  it('is told of when the tunnel ends before an answer', () => {
    const world = new World();
    const one = asked(world);
    const other = asked(world);
    one.caller.say('first');
    world.a.mux.flush();
    one.caller.say(' and more');
    world.a.mux.fail(new Error('gone'));
    expect([one.told, other.told]).toEqual([[{ failed: 5 }], [{ failed: 0 }]]);
  });

  it('has not gone with a tunnel that ends before its record is sealed', () => {
    const world = new World();
    const { caller, told } = asked(world);
    caller.say('first');
    world.a.mux.fail(new Error('gone'));
    expect(told).toEqual([{ failed: 0 }]);
  });

  it('has gone as far as a batch that it filled', () => {
    const world = new World();
    const full = Array.from({ length: 4 }, () => asked(world));
    for (const { caller } of full) caller.say(4_000);
    const last = asked(world);
    last.caller.say(300);
    last.caller.say(100);
    world.a.mux.fail(new Error('gone'));
    expect(world.a.sent).toHaveLength(1);
    const sealed = world.a.flushed().filter(({ type }) => type === FRAME.data);
    const gone = [...full, last].map((_, index) =>
      sealed.filter(({ id }) => id === 1 + 2 * index).reduce((sum, { payload }) => sum + payload.length, 0),
    );
    expect([...full, last].map(({ told }) => told)).toEqual(gone.map((failed) => [{ failed }]));
    expect(gone.reduce((sum, bytes) => sum + bytes, 0)).toBeGreaterThan(4_000);
  });

  it('is counted for who gives up on an answer', () => {
    const world = new World();
    const { caller, giveUp } = asked(world);
    caller.say('first');
    expect(giveUp()).toBe(5);
  });
});

describe('a peer that breaks the protocol', () => {
  const udp = encodeOpen({ ...request, protocol: 'udp' }, 0);
  const tcp = encodeOpen(request, 1_000);
  it.each([
    ['window-overrun', tcp, MAXIMUM_EARLY + 1],
    ['wrong-state', udp, 1],
  ] as const)('by early data is told so: %s', (code, open, bytes) => {
    const world = new World();
    const record = Buffer.concat([frame(FRAME.open, 1, open), frame(FRAME.data, 1, Buffer.alloc(bytes))]);
    expect(() => world.b.mux.receive([record], true)).toThrow(expect.objectContaining({ code }));
  });

  it('by a window smaller than what it was sent is told so', () => {
    const world = new World();
    const { caller, told } = asked(world);
    caller.say(100);
    world.a.mux.flush();
    expect(() => world.a.mux.receive([frame(FRAME.opened, 1, encodeCredit(99))], true)).toThrow(
      expect.objectContaining({ code: 'window-overrun' }),
    );
    world.a.mux.fail(new Error('a violation'));
    expect(told).toEqual([{ failed: 100 }]);
  });
});
