import { expect, test } from 'vitest';
import { steadyClock } from './sessions.ts';

test('goes on when the clock of the host is set back, and counts what the host slept', () => {
  let [wall, monotonic] = [1_700_000_000_000, 5_000];
  const steady = steadyClock(
    () => wall,
    () => monotonic,
  );
  const began = steady();
  const pass = (wallMs: number, monotonicMs: number): number => {
    wall += wallMs;
    monotonic += monotonicMs;
    return steady() - began;
  };
  expect(pass(100, 100)).toBe(100);
  expect(pass(-3_600_000, 10)).toBe(110);
  expect(pass(20, 20)).toBe(130);
  expect(pass(3_600_010 - 20, 0)).toBe(130);
  expect(pass(60_000, 1)).toBe(60_110);
  // What the two differ by from one look to the next does not add up.
  for (let looks = 0; looks < 1_000; looks += 1) pass(looks % 2, (looks + 1) % 2);
  expect(steady() - began).toBeLessThanOrEqual(60_110 + 502);
});
