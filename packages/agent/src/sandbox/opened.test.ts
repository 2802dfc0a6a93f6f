import { expect, test } from 'vitest';
import { readOpened } from './opened.ts';

test.each([
  ['every address', 'tcp:00000000:80', '127.0.0.1'],
  ['loopback', 'tcp:0100007f:80', '127.0.0.1'],
  ['its end of the wire', 'tcp:020000c0:80', '192.0.0.2'],
  ['every address of both families', 'tcp:00000000000000000000000000000000:80', '127.0.0.1'],
  ['loopback, mapped', 'tcp:0000000000000000ffff00000100007f:80', '127.0.0.1'],
  ['::1', 'tcp:00000000000000000000000001000000:80', '::1'],
  ['::1 and 127.0.0.1', 'tcp:00000000000000000000000001000000:80,tcp:0100007f:80', '127.0.0.1'],
  ['another address of loopback', 'tcp:0200007f:80', undefined],
  ['another protocol', 'udp:00000000:80', undefined],
  ['nothing', '%', undefined],
  ['nonsense', 'tcp:00000000:x,,:', undefined],
])('at %s', (_, text, host) => {
  expect(readOpened(text).get('tcp 80')).toBe(host);
});

test('datagrams go to the end of the wire where every address is listened on, for they are answered from there', () => {
  expect(readOpened('udp:00000000:53').get('udp 53')).toBe('192.0.0.2');
  expect(readOpened('udp:0100007f:53').get('udp 53')).toBe('127.0.0.1');
});
