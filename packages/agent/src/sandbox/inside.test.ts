/** Calls to programs in sandboxes, by sockets of this machine in the place of those that a sandbox hands over. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { Deadline } from '../bytes/deadline.ts';
import { datagramHandleOf } from '../bytes/inside/datagram-output.ts';
import { InsidePrograms, type Serving } from './inside.ts';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0).reverse()) end();
});

/** One whose program answers at this port of loopback. */
async function serving(): Promise<Serving & { readonly program: net.Socket[] }> {
  const program: net.Socket[] = [];
  const server = net.createServer((called) => {
    called.on('error', () => {});
    program.push(called);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => {
    for (const each of program) each.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const ask = async (): Promise<object> => {
    const dialled = net.connect({ host: '127.0.0.1', port });
    dialled.pause();
    await once(dialled, 'connect');
    const { _handle: handle } = dialled as unknown as { readonly _handle: object };
    return handle;
  };
  const place = { host: '127.0.0.1', port } as const;
  const reported = { service: 'web', user: 'me', pid: 1, unit: '', sinceMs: 0, ports: [], egress: false };
  const told = { service: 'web', opened: [], reported, placeOf: () => place };
  return { ...told, sockets: { ask }, calls: new Set(), program };
}

test('what is open to a program is cut when that may not serve any more, and what has ended is not kept', async () => {
  const inside = new InsidePrograms();
  const one = await serving();
  inside.enter(one);
  const deadline = new Deadline(20_000);
  ends.push(() => deadline.close());
  const ended: string[] = [];
  const call = async (name: string) => {
    const conduit = await inside.stream('web', 80, '127.0.0.1', deadline);
    conduit.attach({ data: () => {}, end: () => {}, drain: () => {}, closed: (how) => ended.push(`${name} ${how}`) });
    conduit.resume();
    return conduit;
  };
  await call('first');
  const second = await call('second');
  await expect.poll(() => one.program.length).toBe(2);
  expect(one.calls.size).toBe(2);
  second.reset();
  await expect.poll(() => one.calls.size).toBe(1);
  for (const cut of [...one.calls]) cut();
  await expect.poll(() => ended).toEqual(['second reset', 'first reset']);
  await expect.poll(() => one.program.every((each) => each.destroyed)).toBe(true);
  expect(one.calls.size).toBe(0);
});

test('a UDP flow that begins while its program loses the right is none', async () => {
  const made = createSocket('udp4');
  made.bind(0, '127.0.0.1');
  await once(made, 'listening');
  const handle = datagramHandleOf(made);
  if (handle === undefined) throw new Error('it has no handle');
  (handle as unknown as { recvStop(): void }).recvStop();
  const one = { ...(await serving()), sockets: { ask: async () => handle } };
  const inside = new InsidePrograms();
  inside.enter(one);
  const deadline = new Deadline(20_000);
  ends.push(() => deadline.close());
  const begun = inside.datagrams('web', 80, '127.0.0.1', deadline, () => {}).catch((cause: unknown) => cause);
  for (let step = 0; step < 1_000 && one.calls.size === 0; step++) await Promise.resolve();
  for (const cut of [...one.calls]) cut();
  expect(await begun).toMatchObject({ code: 'ECONNRESET' });
  await expect.poll(() => one.calls.size).toBe(0);
});
