import { expect, test } from 'vitest';
import { sum } from './sum.ts';

test('sums', () => {
  expect(sum(2, 3)).toBe(5);
});
