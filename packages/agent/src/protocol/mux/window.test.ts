import { describe, expect, it } from 'vitest';
import { INITIAL_WINDOW, ReceiveWindow, WindowBudget } from './window.ts';

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
});
