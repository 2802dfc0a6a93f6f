import { describe, expect, it } from 'vitest';
import { INITIAL_WINDOW, MINIMUM_WINDOW, ReceiveWindow, WindowBudget } from './window.ts';

const MiB = 1024 * 1024;
const ROUND_TRIP = 100;

/** Uses the window up, time after time, at the pace of the path; answers how large it has become. */
function grown(hungry: boolean, pace: number): number {
  const budget = new WindowBudget(128 * MiB);
  const window = new ReceiveWindow(budget, budget.takeInitial(), 0);
  for (let now = pace, sent = 0; sent < 256 * MiB; now += pace) {
    const bytes = window.size / 2;
    window.receive(bytes);
    window.use(bytes, hungry, now, ROUND_TRIP);
    sent += bytes;
  }
  return window.size;
}

describe('a receive window', () => {
  it('grows to the path while its user keeps up', () => {
    expect(grown(true, ROUND_TRIP)).toBe(16 * MiB);
  });

  it('stays as it is when the path does not use it up', () => {
    expect(grown(true, 3 * ROUND_TRIP)).toBe(INITIAL_WINDOW);
  });

  it('does not grow to hold what its user does not take', () => {
    expect(grown(false, ROUND_TRIP)).toBe(INITIAL_WINDOW);
  });

  it('gives credit once half of it is used, and no sooner', () => {
    const window = new ReceiveWindow(new WindowBudget(128 * MiB), 1_000, 0);
    expect(window.use(499, false, 0, ROUND_TRIP)).toBe(0);
    expect(window.use(1, false, 0, ROUND_TRIP)).toBe(500);
  });

  it.each([
    ['of a quick path', 1, 20],
    ['of a slow path', ROUND_TRIP, 2 * ROUND_TRIP],
  ])('doubles when it was used up within the time %s, and not after', (_, roundTrip, within) => {
    for (const late of [0, 1]) {
      const window = new ReceiveWindow(new WindowBudget(128 * MiB), 1_000, 0);
      window.use(500, true, within + late, roundTrip);
      expect(window.size).toBe(late === 0 ? 2_000 : 1_000);
    }
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
