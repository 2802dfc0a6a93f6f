import { expect, test } from 'vitest';
import { FailureCounter } from './failures.ts';

test('counts an address at a time, over a window, and remembers a bounded number of them', () => {
  let clock = 0;
  const failures = new FailureCounter({ failures: 2, windowMs: 100, remembered: 2 }, () => clock);
  expect([1, 2, 3].map(() => failures.note('a'))).toEqual([false, false, true]);
  expect(failures.note('b')).toBe(false);
  clock = 99;
  expect(failures.note('a')).toBe(true);
  clock = 100;
  expect(failures.note('a')).toBe(false);
  failures.note('c');
  expect([1, 2].map(() => failures.note('b'))).toEqual([false, false]);
});

test('a clock that is set back ends the windows that were begun', () => {
  let clock = 1_000_000;
  const failures = new FailureCounter({ failures: 1, windowMs: 100, remembered: 2 }, () => clock);
  expect([1, 2].map(() => failures.note('a'))).toEqual([false, true]);
  clock = 10;
  expect([1, 2].map(() => failures.note('a'))).toEqual([false, true]);
  clock = 110;
  expect(failures.note('a')).toBe(false);
});

test('addresses of one IPv6 /64 count as one', () => {
  const failures = new FailureCounter({ failures: 2, windowMs: 100, remembered: 9 }, () => 0);
  expect([1, 2, 3].map((host) => failures.note(`2001:db8::${host}`))).toEqual([false, false, true]);
  expect(failures.note('2001:db8:0:1::1')).toBe(false);
});
