import { expect, test } from 'vitest';
import { sentence, text } from './check.ts';

test.each(['a\ud800b', '\udc00', '\u0007'])(
  'a text with %j in it is refused, and made to fit where it is of our own making',
  (odd) => {
    expect(() => text(odd, 'detail', 10)).toThrow('detail');
    expect(text(sentence(odd), 'detail', 10)).toBe(sentence(odd));
  },
);

test('a character of two halves is one', () => {
  expect(text('a\u{1f600}', 'detail', 3)).toBe('a\u{1f600}');
});

test('what turns the direction of writing, or cannot be seen, is shown to be there', () => {
  expect(text('a\u202eb\u2028', 'detail', 10)).toBe('a\ufffdb\ufffd');
});
