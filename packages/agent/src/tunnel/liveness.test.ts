import { beforeEach, describe, expect, it } from 'vitest';
import type { TunnelContext } from './context.ts';
import { Liveness } from './liveness.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

let now: number;
let carrying: boolean;
let stuck: boolean;
let pings: { readonly at: number; readonly token: string }[];
let deadAt: number | undefined;
let asked: number[];
let answers: boolean;
let liveness: Liveness;

beforeEach(() => {
  now = 0;
  [carrying, stuck, pings, asked, answers, deadAt] = [true, false, [], [], false, undefined];
  const context = { now: () => now, settings: DEFAULT_SETTINGS } as unknown as TunnelContext;
  liveness = new Liveness(context, {
    ping(token) {
      pings.push({ at: now, token: token.toString('hex') });
      liveness.said(30);
    },
    roundTrip: () => undefined,
    carrying: () => carrying,
    stuck: () => stuck,
    askBeside() {
      asked.push(now);
      if (answers) liveness.heardBeside();
    },
    dead() {
      deadAt ??= now;
    },
  });
});

/** Ticks once a second; `each` is what happens in that second. */
function pass(seconds: number, each: () => void = () => undefined): void {
  for (let second = 0; second < seconds && deadAt === undefined; second++) {
    now += 1_000;
    each();
    liveness.tick();
  }
}

describe('a tunnel that carries flows', () => {
  it('is dead after 8 s of silence, idle as its flows may be', () => {
    pass(60);
    expect(deadAt).toBe(9_000);
  });

  it('is dead as soon in the middle of bulk that goes into a hole', () => {
    pass(60, () => liveness.said(1_000_000));
    expect(deadAt).toBe(9_000);
  });

  it('says something every 2 s, though the answer to its ping waits behind the bulk of its peer', () => {
    pass(30, () => liveness.heard(100));
    expect(deadAt).toBeUndefined();
    expect(pings.length).toBeGreaterThanOrEqual(9);
    expect(new Set(pings.map(({ token }) => token)).size).toBe(1);
    for (const [index, { at }] of pings.entries())
      expect(at - (pings[index - 1]?.at ?? at)).toBeLessThanOrEqual(10_000);
    const later = pings.filter(({ at }) => at >= 12_000);
    for (const [index, { at }] of later.entries()) expect(at - (later[index - 1]?.at ?? at)).toBeLessThanOrEqual(3_000);
  });

  it('lives on a peer that says no more than that', () => {
    pass(120, () => {
      if (now % 4_000 === 0) liveness.heard(30);
    });
    expect(deadAt).toBeUndefined();
  });

  it('adds nothing to bytes that are stuck, and nothing where it speaks anyway', () => {
    stuck = true;
    pass(8, () => liveness.heard(1));
    stuck = false;
    pass(1, () => liveness.said(1));
    expect(pings).toEqual([]);
  });

  it('takes the answer to any of its pings for the one', () => {
    pass(20, () => liveness.heard(1));
    const [first] = pings;
    liveness.pong(Buffer.from(first?.token ?? '', 'hex'));
    expect(liveness.suspect).toBe(false);
    // A second answer to the same is none.
    now += 5;
    liveness.pong(Buffer.from(first?.token ?? '', 'hex'));
    expect(liveness.shortest).toBeGreaterThan(1_000);
  });
});

describe('a tunnel whose packets come beside a connection that stands still', () => {
  const packets = () => liveness.heardBeside();

  it('outlives a stall of the connection, and what is sent beside it is not taken for lost', () => {
    pass(12, packets);
    expect([deadAt, liveness.suspect, liveness.silent]).toEqual([undefined, true, false]);
    liveness.heard(100);
    pass(12, packets);
    expect(deadAt).toBeUndefined();
  });

  it('is asked beside it each second as soon as the answer to a ping is late, and its answer keeps it', () => {
    answers = true;
    pass(12);
    expect([deadAt, asked]).toEqual([undefined, [4, 5, 6, 7, 8, 9, 10, 11, 12].map((second) => second * 1_000)]);
    liveness.heard(100);
    pass(3);
    expect(asked).toHaveLength(9);
  });

  it('ends all the same when the connection says nothing for as long as an idle one may', () => {
    pass(60, packets);
    expect(deadAt).toBe(16_000);
  });

  it('ends as soon as any other where the peer is gone: its last packet came up to a heartbeat after its last bytes', () => {
    pass(2, packets);
    pass(60);
    expect(deadAt).toBe(9_000);
    expect(liveness.silent).toBe(true);
  });

  it('ends 6 s after its last packet where the connection stood still before', () => {
    pass(5, packets);
    pass(60);
    expect(deadAt).toBe(11_000);
  });
});

describe('a tunnel that carries none', () => {
  it('is asked after 10 s, and dead after 15', () => {
    carrying = false;
    pass(60);
    expect(pings.map(({ at }) => at)).toEqual([10_000]);
    expect(deadAt).toBe(16_000);
    expect(asked).toEqual([]);
  });
});
