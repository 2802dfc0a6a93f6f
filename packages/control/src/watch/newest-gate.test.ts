import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { NewestGate } from './newest-gate.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function setUp() {
  const passed: number[] = [];
  const gate = new NewestGate<{ readonly number: number }>(1_000, ({ number }) => passed.push(number));
  return { gate, passed, offer: (number: number) => gate.offer({ number }) };
}

test('the first goes through at once, and of those that come too soon only the newest', () => {
  const { passed, offer } = setUp();
  for (const number of [1, 2, 3]) offer(number);
  expect(passed).toEqual([1]);
  vi.advanceTimersByTime(999);
  expect(passed).toEqual([1]);
  vi.advanceTimersByTime(1);
  expect(passed).toEqual([1, 3]);
  offer(4);
  expect(passed).toEqual([1, 3]);
  vi.advanceTimersByTime(1_000);
  expect(passed).toEqual([1, 3, 4]);
  vi.advanceTimersByTime(1_000);
  offer(5);
  expect(passed).toEqual([1, 3, 4, 5]);
});

test('nothing goes through once it is closed, and no timer is left', () => {
  const { gate, passed, offer } = setUp();
  offer(1);
  offer(2);
  gate.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(5_000);
  expect(passed).toEqual([1]);
});
