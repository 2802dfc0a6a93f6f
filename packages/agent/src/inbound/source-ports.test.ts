import { once } from 'node:events';
import net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Deadline } from '../bytes/deadline.ts';
import { SourcePorts } from './addresses.ts';

/** In the second half of the range. */
const BEGIN = 10_000;
const RANGE = { first: 32_768, count: 28_232 };
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
    const [first = 0, ...rest] = await callers(new SourcePorts(RANGE, BEGIN), 3);
    expect(rest).toEqual([first + 2, first + 4]);
    expect((first - RANGE.first) % 2).toBe(1);
  });

  it('that are taken are passed over', async () => {
    const [first = 0] = await callers(new SourcePorts(RANGE, BEGIN), 1);
    await listen(CALLER, first + 2);
    await listen(CALLER, first + 4);
    expect(await callers(new SourcePorts(RANGE, BEGIN + 1), 2)).toEqual([first + 6, first + 8]);
  });

  it('are left to the system where their range is not known', async () => {
    expect(await callers(new SourcePorts(undefined), 2)).toHaveLength(2);
  });

  it('are left to the system when several in a row are taken', async () => {
    const [first = 0] = await callers(new SourcePorts(RANGE, BEGIN), 1);
    for (let offset = 1; offset <= 4; offset++) await listen(CALLER, first + 2 * offset);
    const [found] = await callers(new SourcePorts(RANGE, BEGIN + 1), 1);
    expect(found).toBeTypeOf('number');
    expect(found).not.toBe(first + 10);
  });
});
