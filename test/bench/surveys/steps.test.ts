import { expect, test } from 'vitest';
import type { Opening } from './programs/record-openings.ts';
import { type Call, stepTimes } from './steps.ts';

/** A millisecond for the first step, two for the second, and so on. */
function opening(id: string, at: number): readonly [Opening, Opening] {
  const mark = (step: number): number => at + 500 * step * (step + 1);
  return [
    { id, end: 'source', begun: mark(1), judged: mark(2), chosen: mark(3), stepEnded: mark(8), ended: mark(9) },
    { id, end: 'destination', begun: mark(4), judged: mark(5), stepBegun: mark(6), stepEnded: mark(7) },
  ];
}

const call = (at: number): Call => [at, at + 10, at + 55_000];

test('each step begins where the one before it ended, whichever agent told of it', () => {
  expect(stepTimes(opening('a', 7_000), [call(7_000)])).toEqual([[1], [2], [3], [4], [5], [6], [7], [8], [9], [10]]);
});

test('calls that overlap are not taken for each other: their first and last step are not told', () => {
  const [first, , , , , , , , , last] = stepTimes(
    [...opening('a', 0), ...opening('b', 10), ...opening('c', 100_000)],
    [call(0), call(10), call(100_000)],
  );
  expect([first, last]).toEqual([[1], [10]]);
});

test('an opening that did not get to the destination tells of its steps until then', () => {
  const [source] = opening('a', 0);
  expect(stepTimes([source], []).map(({ length }) => length)).toEqual([0, 1, 1, 0, 0, 0, 0, 0, 1, 0]);
});
