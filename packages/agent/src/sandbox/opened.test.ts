import { expect, test } from 'vitest';
import { placeIn, publishedPorts, readOpened, servedPorts } from './opened.ts';

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
  expect(readOpened(text).get('tcp 80')?.host).toBe(host);
});

test('what is no port is not listened on, whoever says so', () => {
  const said = [0, 65_535, 65_536, 99_999].map((port) => `tcp:00000000:${port},udp:00000000:${port}`).join(',');
  expect([...readOpened(said).keys()]).toEqual(['tcp 65535', 'udp 65535']);
});

test('datagrams go to the end of the wire where every address is listened on, for they are answered from there', () => {
  expect(readOpened('udp:00000000:53').get('udp 53')?.host).toBe('192.0.0.2');
  expect(readOpened('udp:0100007f:53').get('udp 53')?.host).toBe('127.0.0.1');
});

const UNDECLARED: [what: string, text: string, published: string[]][] = [
  ['every address', 'tcp:00000000:40000', ['tcp 40000']],
  ['every address of both families', 'tcp:00000000000000000000000000000000:9000', ['tcp 9000']],
  ['its end of the wire', 'udp:020000c0:9000', ['udp 9000']],
  ['loopback alone', 'tcp:0100007f:9229', []],
  ['::1 alone', 'tcp:00000000000000000000000001000000:9229', []],
  ['loopback and every address', 'tcp:0100007f:9000,tcp:00000000:9000', ['tcp 9000']],
  ['a port below 1024', 'tcp:00000000:1023,udp:00000000:53', []],
  ['the first above', 'tcp:00000000:1024', ['tcp 1024']],
  ['a port that another is moved to', 'tcp:00000000:8080', []],
  ['a port that is moved', 'tcp:00000000:3000', []],
  ['UDP ports of the kernel’s choice', 'udp:00000000:32768,udp:00000000:40000,udp:00000000:60999', []],
  ['those beside', 'udp:00000000:32767,udp:00000000:61000', ['udp 32767', 'udp 61000']],
];

test.each(UNDECLARED)('of what is not declared, at %s: publishes and serves the same', (_, text, published) => {
  const opened = readOpened(text);
  const moved = new Map([[3000, 8080]]);
  const auto = { ports: [], autoPorts: true } as const;
  const words = publishedPorts(opened, moved).map(({ protocol, first }) => `${protocol} ${first}`);
  expect(words).toEqual(published);
  const places = [...opened.keys()].filter((key) => {
    const [protocol, port] = key.split(' ') as ['tcp' | 'udp', string];
    expect(placeIn(opened, moved, { ports: [] }, Number(port), protocol)).toBeUndefined();
    return placeIn(opened, moved, auto, Number(port), protocol) !== undefined;
  });
  expect(places).toEqual(published);
});

test('a moved port is reached by its own number, and never by the one that it has inside', () => {
  const opened = readOpened('tcp:0100007f:8080');
  const web = { ports: [{ protocol: 'tcp', first: 3000, last: 3000 }], autoPorts: true } as const;
  const moved = new Map([[3000, 8080]]);
  expect(placeIn(opened, moved, web, 3000, 'tcp')).toEqual({ host: '127.0.0.1', port: 8080 });
  expect(placeIn(opened, moved, web, 8080, 'tcp')).toBeUndefined();
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
