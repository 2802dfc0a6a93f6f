import { expect, test } from 'vitest';
import { durationWords } from './duration.ts';

test.each([
  [90_000, '90s'],
  [300_000, '5m'],
  [7_200_000, '2h'],
  [1_500, '1500ms'],
])('%i ms is %s', (ms, words) => expect(durationWords(ms)).toBe(words));
