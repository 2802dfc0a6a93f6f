import { expect, test } from 'vitest';
import { LineLimit } from './line-limit.ts';

test('everyone has twenty lines at once and twenty a minute, and the next says how many are missing', () => {
  let now = 0;
  const limit = new LineLimit(() => now);
  const taken = (count: number, whose = 'up one') => Array.from({ length: count }, () => limit.take(whose));
  expect(taken(20)).toEqual(Array.from({ length: 20 }, () => ({})));
  expect(taken(5)).toEqual(Array.from({ length: 5 }, () => undefined));
  expect(taken(1, 'up other')).toEqual([{}]);
  now = 2_999;
  expect(taken(1)).toEqual([undefined]);
  now = 3_000;
  expect(taken(2)).toEqual([{ suppressed: 6 }, undefined]);
  // A clock that is set back gives nothing, and takes nothing for good.
  now = 0;
  expect(taken(1)).toEqual([undefined]);
  now = 600_000;
  expect(taken(21)).toEqual([{ suppressed: 2 }, ...Array.from({ length: 19 }, () => ({})), undefined]);
});

test('who fills it is not forgotten for others that come, and those are, in the end', () => {
  const limit = new LineLimit(() => 0);
  for (let count = 0; count < 20; count += 1) limit.take('flood');
  for (let other = 0; other < 10_000; other += 1) {
    expect(limit.take(`peer ${other}`)).toEqual({});
    if (other % 100 === 0) expect(limit.take('flood')).toBeUndefined();
  }
  for (let count = 0; count < 19; count += 1) limit.take('peer 9999');
  expect([limit.take('peer 9999'), limit.take('peer 0')]).toEqual([undefined, {}]);
});
