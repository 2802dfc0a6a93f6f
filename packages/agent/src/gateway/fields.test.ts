import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { readFraming } from './fields.ts';

/** As the parser hands it on, had it let this through. */
const request = (rawHeaders: readonly string[], httpVersion = '1.1') =>
  ({ rawHeaders: [...rawHeaders], httpVersion }) as unknown as IncomingMessage;

test.each<[string, readonly string[], string?]>([
  ['two lengths that differ', ['Content-Length', '4', 'content-length', '5']],
  ['two lengths alike', ['Content-Length', '4', 'Content-Length', '4']],
  ['a list of lengths alike', ['Content-Length', '5, 5']],
  ['a length and a coding', ['Content-Length', '4', 'Transfer-Encoding', 'chunked']],
  ['two codings', ['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked']],
  ['another coding', ['Transfer-Encoding', 'gzip']],
  ['a coding behind another', ['Transfer-Encoding', 'gzip, chunked']],
  ['chunks in 1.0', ['Transfer-Encoding', 'chunked'], '1.0'],
  ['a signed length', ['Content-Length', '+4']],
  ['a length in another base', ['Content-Length', '0x4']],
  ['no digits', ['Content-Length', '']],
  ['more digits than a body has', ['Content-Length', '1'.repeat(16)]],
])('a body with %s has no end that all servers agree on', (_what, raw, version) => {
  expect(readFraming(request(raw, version))).toBeUndefined();
});

test('a body ends by its one length, by its chunks, or is none', () => {
  expect(readFraming(request(['Host', 'a', 'Content-Length', '15']))).toEqual({ type: 'length', bytes: '15' });
  expect(readFraming(request(['Transfer-Encoding', 'Chunked']))).toEqual({ type: 'chunked' });
  expect(readFraming(request(['Host', 'a']))).toEqual({ type: 'none' });
});
