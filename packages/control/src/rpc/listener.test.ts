import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { Connections } from './connections.ts';
import { Listener } from './listener.ts';

const open: Socket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
});

async function listen(connections: Connections) {
  const taken: Socket[] = [];
  let wake = (): void => undefined;
  const listener = new Listener((connection) => {
    taken.push(connection);
    wake();
  }, connections);
  const { port } = await listener.listen({ host: '127.0.0.1', port: 0 }, pino({ level: 'silent' }));
  /** A connection that has been taken. */
  const reach = async (): Promise<Socket> => {
    const arrived = new Promise<void>((resolve) => (wake = resolve));
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    open.push(socket);
    await arrived;
    return socket;
  };
  return { listener, taken, reach };
}

test('when all places are taken the connection that has asked for nothing for the longest makes room', async () => {
  const { listener, taken, reach } = await listen(new Connections({ most: 2, mostOfOne: 2 }));
  const first = await reach();
  const second = await reach();
  const ended = once(first, 'close');
  await reach();
  await ended;
  expect([first.closed, second.closed, taken.length]).toEqual([true, false, 3]);
  await listener.close(0);
});

test('one that asks for nothing at all is let go soon', async () => {
  const { listener, reach } = await listen(new Connections({ most: 2, mostOfOne: 2 }, 20));
  await once(await reach(), 'close');
  await listener.close(0);
});

test('all end together', async () => {
  const { listener, reach } = await listen(new Connections());
  const ended = [once(await reach(), 'close'), once(await reach(), 'close')];
  await listener.close(0);
  await Promise.all(ended);
});
