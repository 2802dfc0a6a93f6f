import { expect, test } from 'vitest';
import { publishedPorts, readOpened, servedPorts } from './opened.ts';

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

test('publishes all but what is moved, and UDP at ports of the kernel’s choice', () => {
  const opened = readOpened(
    'tcp:00000000:8080,tcp:00000000:3000,tcp:00000000:40000,udp:00000000:40000,udp:00000000:32767,udp:00000000:61000,tcp:0200007f:81',
  );
  const published = publishedPorts(opened, new Map([[3000, 8080]]));
  expect(published.map(({ protocol, first, last }) => `${protocol} ${first}-${last}`)).toEqual([
    'tcp 40000-40000',
    'udp 32767-32767',
    'udp 61000-61000',
  ]);
});

test('serves declared ports where they are open, also moved ones, and what is published', () => {
  const opened = readOpened('tcp:00000000:8080,tcp:00000000:4000,tcp:00000000:9000,udp:00000000:4000');
  const ports = [3000, 4000, 8080].map((port) => ({ protocol: 'tcp' as const, first: port, last: port }));
  const served = (autoPorts?: true) =>
    servedPorts(
      opened,
      new Map([
        [3000, 8080],
        [8080, 8081],
      ]),
      { ports, ...(autoPorts && { autoPorts }) },
    ).map(({ protocol, first }) => `${protocol} ${first}`);
  expect(served()).toEqual(['tcp 3000', 'tcp 4000']);
  expect(served(true)).toEqual(['tcp 3000', 'tcp 4000', 'tcp 9000', 'udp 4000']);
});
