import dgram from 'node:dgram';
import { once } from 'node:events';
import { SocketAddress } from 'node:net';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { NAME_BYTES } from './native-memory.ts';
import { Destinations, Sources } from './socket-address.ts';

/** As the kernel would tell it of whoever is sent to so. */
function read(sockaddr: Uint8Array, sources: Sources = new Sources()) {
  const names = new DataView(new ArrayBuffer(3 * NAME_BYTES));
  new Uint8Array(names.buffer).set(sockaddr, NAME_BYTES);
  return sources.read(names, NAME_BYTES);
}

function written(destinations: Destinations, address: string, port: number): Uint8Array {
  const to = destinations.of(address, port);
  if (to === undefined) throw new Error(`${address} is nowhere to send to`);
  return to.sockaddr;
}

const port = fc.integer({ min: 1, max: 65_535 });

it('an IPv4 address is written and read as Node says it', () => {
  fc.assert(
    fc.property(fc.ipV4(), port, (address, number) => {
      const sockaddr = written(new Destinations(false), address, number);
      expect(sockaddr).toHaveLength(16);
      expect(read(sockaddr)).toEqual({ address, port: number });
    }),
  );
});

it('an IPv6 address is written and read as Node says it', () => {
  const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
  const groups = fc.array(group, { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(groups, port, (numbers, number) => {
      // Of the deprecated ::a.b.c.d alone Node writes the end as IPv4.
      fc.pre(numbers.slice(0, 6).some((each) => each !== 0));
      const groupsText = numbers.map((each) => each.toString(16)).join(':');
      const { address } = new SocketAddress({ address: groupsText, family: 'ipv6' });
      const sockaddr = written(new Destinations(true), address, number);
      expect(sockaddr).toHaveLength(28);
      expect(read(sockaddr)).toEqual({ address, port: number });
    }),
  );
});

it.each(['::', '::1', '::ffff:127.0.0.1', '::ffff:10.2.3.4'])('%s is read as it was written', (address) => {
  expect(read(written(new Destinations(true), address, 7_410))).toEqual({
    address,
    port: 7_410,
  });
});

it('an address of another family, a zone, a name or no port is nothing to write', () => {
  const [four, six] = [new Destinations(false), new Destinations(true)];
  expect([four.of('::1', 1), four.of('localhost', 1), four.of('127.0.0.1', 0), four.of('127.0.0.1', 65_536)]).toEqual(
    Array(4).fill(undefined),
  );
  expect([six.of('127.0.0.1', 1), six.of('fe80::1%lo', 1), six.of('host', 1)]).toEqual(Array(3).fill(undefined));
});

it('the same place is the same object, among many and over the bound', () => {
  const sources = new Sources();
  const destinations = new Destinations(false);
  const first = destinations.of('10.0.0.1', 1);
  for (let number = 2; number < 3_000; number++) {
    const to = destinations.of(`10.0.${number % 7}.1`, number);
    expect(destinations.of(`10.0.${number % 7}.1`, number)).toBe(to);
    const from = read(to?.sockaddr ?? new Uint8Array(), sources);
    expect(from).toEqual({ address: `10.0.${number % 7}.1`, port: number });
    expect(read(to?.sockaddr ?? new Uint8Array(), sources)).toBe(from);
  }
  expect(destinations.of('10.0.0.1', 1)).toEqual(first);
});

it('a zone is told by the name of its interface', () => {
  const sockaddr = written(new Destinations(true), 'fe80::1', 5);
  new DataView(sockaddr.buffer).setUint32(24, 4_000_000, true);
  expect(read(sockaddr)).toEqual({ address: 'fe80::1%4000000', port: 5 });
});

it('what is written is what Node sends to', async () => {
  const socket = dgram.createSocket('udp6');
  socket.bind(0, '::1');
  await once(socket, 'listening');
  const { address, port: number } = socket.address();
  expect(read(written(new Destinations(true), address, number))).toEqual({
    address,
    port: number,
  });
  socket.close();
});
