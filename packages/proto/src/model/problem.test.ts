import { expect, test } from 'vitest';
import { escapeUnseen, quote } from './problem.ts';

test.each([
  ['\u001b[31mred', '\\u001b[31mred'],
  ['\u009b2J', '\\u009b2J'],
  ['a\u202eb', 'a\\u202eb'],
  ['\u2028', '\\u2028'],
  ['\u{e0041}', '\\udb40\\udc41'],
])('%j is shown as %s', (text, shown) => {
  expect(escapeUnseen(text)).toBe(shown);
  expect(quote(text)).toBe(`"${shown}"`);
  expect(JSON.parse(escapeUnseen(JSON.stringify(text)))).toBe(text);
});

test('what can be seen stays, and so do lines', () => {
  expect(escapeUnseen('größe 東京\nzwei')).toBe('größe 東京\nzwei');
});
