import { expect, it } from 'vitest';
import { SpareTime } from './spare-time.ts';

it.each([
  [undefined, 250],
  [1_000, 50],
])('allows what was saved in a rest of %s ms, and then a twentieth', (savedMs, spentMs) => {
  const time = new SpareTime(savedMs);
  time.spend(spentMs - 1, 10_000);
  expect(time.allows(10_000)).toBe(true);
  time.spend(2, 10_000);
  expect(time.allows(10_000)).toBe(false);
  expect(time.restMs(10_000)).toBe(20);
  expect(time.allows(10_020)).toBe(true);
});
