import { expect, test } from 'vitest';
import { fromWord, readWanted, toWord } from './lines.ts';

test.each([
  ['', '%'],
  ['redis', 'redis'],
  ['a b', 'a%20b'],
  ['100%', '100%25'],
  ['\n', '%0A'],
  ['ü€😀', '%C3%BC%E2%82%AC%F0%9F%98%80'],
])('%j is a word of one line', (text, word) => {
  expect(toWord(text)).toBe(word);
  expect(fromWord(word)).toBe(text);
});

test.each(['%ZZ', '%E0', '%2', 'a%', '%C3%28'])('the service %s, which no command wrote, is none', (service) => {
  expect(readWanted(['1', service, 'egress=', 'ports='])).toBeUndefined();
});
