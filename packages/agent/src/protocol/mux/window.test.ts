import { describe, expect, it } from 'vitest';
import { INITIAL_WINDOW, MINIMUM_WINDOW, ReceiveWindow, WindowBudget } from './window.ts';

const MiB = 1024 * 1024;
const ROUND_TRIP = 100;

/** Uses the window up, half after half, each in the time that `pace` says for it; answers how large it has become. */
function grown(hungry: boolean, pace: (half: number) => number, roundTrip = ROUND_TRIP): number {
  const budget = new WindowBudget(128 * MiB);
  const window = new ReceiveWindow(budget, budget.takeInitial(), 0);
  for (let now = 0, sent = 0; sent < 256 * MiB; ) {
    const bytes = Math.ceil(window.size / 2);
    now += pace(bytes);
    window.receive(bytes);
    window.use(bytes, hungry, now, roundTrip);
    sent += bytes;
  }
  return window.size;
}

describe('a receive window', () => {
  it('grows as far as it may while it is what sets the pace', () => {
    expect(grown(true, () => ROUND_TRIP / 2)).toBe(16 * MiB);
  });

  it.each([
    ['a long path', 100, 20_000, 8_000_000],
    ['a short path', 2, 500_000, 4_000_000],
    ['no path to speak of, by the turns of the loops', 0.1, 500_000, 1_000_000],
    ['a path that takes less than it has', 10, 5_000, INITIAL_WINDOW],
  ])('grows to what passes in four round trips of %s, and no further', (_, roundTrip, bytesPerMs, size) => {
    const pace = (half: number) => Math.max(roundTrip / 2, half / bytesPerMs);
    expect(grown(true, pace, roundTrip)).toBeCloseTo(size, -2);
  });

  it('does not grow to hold what its user does not take', () => {
    expect(grown(false, () => ROUND_TRIP / 2)).toBe(INITIAL_WINDOW);
  });

  it('gives credit once half of it is used, and no sooner', () => {
    const window = new ReceiveWindow(new WindowBudget(128 * MiB), 1_000, 0);
    expect(window.use(499, false, 0, ROUND_TRIP)).toBe(0);
    expect(window.use(1, false, 0, ROUND_TRIP)).toBe(500);
  });

  it.each([0, 0.001])('no more than doubles at once, were half of it used in %d ms', (time) => {
    const window = new ReceiveWindow(new WindowBudget(128 * MiB), 1_000, 0);
    expect(window.use(500, true, time, ROUND_TRIP)).toBe(1_500);
    expect(window.size).toBe(2_000);
  });

  it('takes what it was promised to the last byte, and not one more', () => {
    const window = new ReceiveWindow(new WindowBudget(128 * MiB), 1_000, 0);
    window.receive(1_000);
    expect(() => window.receive(1)).toThrow(expect.objectContaining({ code: 'window-overrun' }));
  });
});

describe('the budget of all windows', () => {
  it('gives new streams less the less is left', () => {
    const budget = new WindowBudget(4 * MiB);
    const sizes: number[] = [];
    while (!budget.overdrawn) sizes.push(budget.takeInitial());
    expect(sizes.filter((size) => size === INITIAL_WINDOW)).toHaveLength((2 * MiB) / INITIAL_WINDOW);
    expect(sizes.filter((size) => size === INITIAL_WINDOW / 4)).toHaveLength(MiB / (INITIAL_WINDOW / 4));
    expect(sizes.filter((size) => size === MINIMUM_WINDOW)).toHaveLength(MiB / MINIMUM_WINDOW + 1);
    expect(sizes).toEqual(sizes.toSorted((one, other) => other - one));
  });

  it('promises all it has and no more, and has again what is given back', () => {
    const budget = new WindowBudget(1_000);
    expect([budget.tryTake(400), budget.tryTake(601), budget.tryTake(600), budget.tryTake(1)]).toEqual([
      true,
      false,
      true,
      false,
    ]);
    expect([budget.promised, budget.overdrawn]).toEqual([1_000, false]);
    budget.release(600);
    expect(budget.tryTake(600)).toBe(true);
  });
});
