import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { Admission } from '../bounds/admission.ts';
import { Listener } from './listener.ts';

test('connections are bounded from one address, a place is free again when one ends, and all end together', async () => {
  const taken: Socket[] = [];
  let wake = (): void => undefined;
  const listener = new Listener((connection) => {
    taken.push(connection);
    wake();
  }, new Admission(10, 2));
  const { port } = await listener.listen({ host: '127.0.0.1', port: 0 }, pino({ level: 'silent' }));
  const reach = (): Socket => connect(port, '127.0.0.1').on('error', () => undefined);
  const arrival = (): Promise<void> => new Promise((resolve) => (wake = resolve));

  const open = [];
  for (let count = 0; count < 2; count += 1) {
    const arrived = arrival();
    open.push(reach());
    await arrived;
  }
  await once(reach(), 'close');
  expect(taken.length).toBe(2);

  const [first] = taken;
  open[0]?.destroy();
  if (first !== undefined && !first.closed) await once(first.resume(), 'close');
  const arrived = arrival();
  open.push(reach());
  await arrived;

  const ended = open.slice(1).map((socket) => once(socket, 'close'));
  await listener.close(0);
  await Promise.all(ended);
});
