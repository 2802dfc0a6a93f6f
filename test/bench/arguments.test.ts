import { expect, test } from 'vitest';
import { chosen, parseArguments } from './arguments.ts';
import { UsageError } from './usage.ts';

test('three rounds unless told otherwise; a quick run has one', () => {
  expect(parseArguments([])).toMatchObject({ quick: false, rounds: 3, workers: undefined, only: undefined });
  expect(parseArguments(['--quick']).rounds).toBe(1);
  expect(
    parseArguments(['--quick', '--rounds', '2', '--workers', '4', '--before', 'x', '--only', 'dns,redis']),
  ).toMatchObject({
    rounds: 2,
    workers: '4',
    before: 'x',
    only: ['dns', 'redis'],
  });
});

test.each([['--rounds', '0'], ['--rounds', 'x'], ['--rounds', '1000'], ['--fast'], ['stream']])(
  '%s %s is wrong usage',
  (...argv) => {
    expect(() => parseArguments(argv)).toThrow(UsageError);
  },
);

test('a name that there is not is told with those that there are', () => {
  const all = [{ name: 'a' }, { name: 'b' }, { name: 'c' }];
  expect(chosen('peer', all, ['c', 'a'])).toEqual([{ name: 'a' }, { name: 'c' }]);
  expect(chosen('peer', all, undefined)).toBe(all);
  expect(() => chosen('peer', all, ['a', 'x'])).toThrow('no peer is called x; there are: a, b, c');
});
