import { expect, it } from 'vitest';
import { changedLines } from './line-changes.tsx';

const lines = (...texts: string[]): string => `${texts.join('\n')}\n`;
const told = (before: string, after: string): string[] =>
  changedLines(before, after).map(({ sign, text }) => `${sign}${text}`);

it('tells of nothing when nothing differs', () => {
  expect(told(lines('a', 'b'), lines('a', 'b'))).toEqual([]);
});

it('shows changes with the lines beside them, and how many it skips', () => {
  const before = lines('1', '2', '3', '4', '5', '6', '7', '8', 'x', '9');
  const after = lines('1', '2', '3', '4', '5', '6', '7', '8', 'y', '9', '10');
  expect(told(before, after)).toEqual(['…6 lines alike', ' 7', ' 8', '-x', '+y', ' 9', '+10']);
});

it('shows a first revision as all new', () => {
  expect(told('', lines('a', 'b'))).toEqual(['+a', '+b']);
});
