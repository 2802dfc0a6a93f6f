import { expect, test } from 'vitest';
import { median, medianRatio, roundOrder, stillWarming } from './statistics.ts';

test.each([
  [[], undefined],
  [[3], 3],
  [[9, 1, 5], 5],
  [[10, 2, 4, 100], 7],
])('the median of %j is %j', (values, expected) => {
  expect(median(values)).toBe(expected);
});

test('the ratio is taken in each round, and then the median', () => {
  const ours = new Map([
    [0, 10],
    [1, 100],
    [2, 30],
  ]);
  const theirs = new Map([
    [0, 5],
    [1, 25],
    [2, 10],
  ]);
  expect(medianRatio(ours, theirs)).toBe(3);
  // Not 30 / 10, whatever the medians are.
  expect(medianRatio(new Map([...ours, [1, 25]]), new Map([...theirs, [1, 25]]))).toBe(2);
});

test('rounds without a figure on both sides have no ratio', () => {
  expect(medianRatio(new Map([[0, 4]]), new Map([[1, 2]]))).toBeUndefined();
  expect(medianRatio(new Map([[0, 4]]), new Map([[0, 0]]))).toBeUndefined();
  expect(
    medianRatio(
      new Map([
        [0, 4],
        [1, 9],
      ]),
      new Map([[1, 3]]),
    ),
  ).toBe(3);
});

test('every round has everyone, in an order of its own', () => {
  const peers = ['a', 'b', 'c', 'd'];
  const orders = [0, 1, 2, 3].map((round) => roundOrder(peers, round).join(''));
  expect(orders).toEqual(['abcd', 'badc', 'cdab', 'dcba']);
  expect(roundOrder([], 3)).toEqual([]);
});

test.each([
  ['one run tells nothing yet', [10], true],
  ['the second is cheaper', [10, 9.4], true],
  ['the last is hardly cheaper', [10, 8, 7.7], false],
  ['the last is dearer', [10, 8, 9], false],
  ['it falls on and on', [10, 8, 6, 4, 2], false],
  ['no processor time is told', [undefined], false],
] as const)('a peer that compiles is run over again before the rounds: %s', (_what, costs, expected) => {
  expect(stillWarming(costs)).toBe(expected);
});
