import { once } from 'node:events';
import net from 'node:net';
import { afterEach, describe, expect, it, test } from 'vitest';
import { Deadline } from '../bytes/deadline.ts';
import { portsToBind, SourcePorts } from './addresses.ts';

/** In the second half of the range. */
const BEGIN = 10_000;
const PORTS = portsToBind({ first: 32_768, count: 28_232 }, '\n');
const CALLER = '127.0.0.9';
const servers: net.Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listen(host: string, port: number, onConnection?: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer(onConnection);
  servers.push(server);
  server.listen(port, host);
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

/** Makes so many calls, one after the other, and answers the ports they came from. */
async function callers(ports: SourcePorts, count: number): Promise<(number | undefined)[]> {
  const seen: (number | undefined)[] = [];
  const port = await listen('127.0.0.1', 0, (socket) => {
    seen.push(socket.remotePort);
    socket.on('error', () => undefined);
    if (seen.length === count) all.resolve();
  });
  const all = Promise.withResolvers<void>();
  const conduits = [];
  for (let call = 0; call < count; call++) {
    const deadline = new Deadline(5_000);
    conduits.push(await ports.connect({ host: '127.0.0.1', port, localAddress: CALLER, deadline }));
  }
  await all.promise;
  for (const conduit of conduits) conduit.reset();
  return seen;
}

describe('source ports', () => {
  it('are taken in turn', async () => {
    const [first = 0, ...rest] = await callers(new SourcePorts(PORTS, BEGIN), 3);
    expect(rest).toEqual([first + 2, first + 4]);
  });

  it('that are taken are passed over', async () => {
    const [first = 0] = await callers(new SourcePorts(PORTS, BEGIN), 1);
    await listen(CALLER, first + 2);
    await listen(CALLER, first + 4);
    expect(await callers(new SourcePorts(PORTS, BEGIN + 1), 2)).toEqual([first + 6, first + 8]);
  });

  it('are left to the system where their range is not known', async () => {
    expect(await callers(new SourcePorts(new Uint16Array()), 2)).toHaveLength(2);
  });

  it('are left to the system when several in a row are taken', async () => {
    const [first = 0] = await callers(new SourcePorts(PORTS, BEGIN), 1);
    for (let offset = 1; offset <= 4; offset++) await listen(CALLER, first + 2 * offset);
    const [found] = await callers(new SourcePorts(PORTS, BEGIN + 1), 1);
    expect(found).toBeTypeOf('number');
    expect(found).not.toBe(first + 10);
  });
});

test.each([
  [32_768, 60_999, '\n', 14_116, [32_769, 32_771], 60_999],
  [1_025, 1_030, '', 3, [1_026, 1_028], 1_030],
  [40_000, 40_009, '40000-40003,40007', 2, [40_005, 40_009], 40_009],
  [40_000, 40_009, '30000-32767', 5, [40_001, 40_003], 40_009],
  [40_000, 40_000, '', 0, [], undefined],
])('of the range %i to %i without %j are bound', (first, end, reserved, count, begin, last) => {
  const ports = portsToBind({ first, count: end - first + 1 }, reserved);
  expect([ports.length, [...ports.slice(0, 2)], ports.at(-1)]).toEqual([count, begin, last]);
});
