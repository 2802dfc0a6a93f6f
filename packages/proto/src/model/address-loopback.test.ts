import { expect, test } from 'vitest';
import { isLoopback, knowsHost } from './address.ts';

test.each([
  ['127.0.0.1', true],
  ['127.80.0.7', true],
  ['::1', true],
  ['localhost', true],
  ['127.evil.example', false],
  ['10.0.0.1', false],
  ['0.0.0.0', false],
])('%s is loopback: %s', (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});

test.each([
  ['127.0.0.1:9100', true],
  ['LOCALHOST:9100', true],
  ['localhost', true],
  ['[::1]:9100', true],
  ['127.evil.example:9100', false],
  ['evil.example', false],
  ['', false],
  [undefined, false],
])('a port of loopback answers to %s: %s', (header, expected) => {
  expect(knowsHost('127.0.0.1', header)).toBe(expected);
});

test.each([
  ['0.0.0.0', '127.0.0.1', false],
  ['::', '::ffff:127.0.0.1', false],
  ['::', '::1', false],
  ['::0', '::ffff:127.0.0.1', false],
  ['::', '::FFFF:7f00:1', false],
  // However it is spelled, it is the same port.
  ['::ffff:127.0.0.1', undefined, false],
  ['::ffff:7f00:1', undefined, false],
  ['0:0:0:0:0:0:0:1', undefined, false],
  ['127.1', undefined, false],
  ['::ffff:127.0.0.1.evil.example', undefined, true],
  ['::ffff:10.0.0.7', undefined, true],
  ['0.0.0.0', '10.0.0.7', true],
  ['10.0.0.7', '127.0.0.1', true],
])('a port of %s that was reached at %s answers to any name: %s', (listening, arrived, any) => {
  expect(knowsHost(listening, 'weft.example:9100', arrived)).toBe(any);
  expect(knowsHost(listening, 'localhost:9100', arrived)).toBe(true);
});

test('a port of another address answers to any name', () => {
  expect(knowsHost('10.0.0.7', 'weft.example:9100')).toBe(true);
  expect(knowsHost('0.0.0.0', undefined)).toBe(true);
});
