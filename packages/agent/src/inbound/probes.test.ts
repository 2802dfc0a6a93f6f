import { once } from 'node:events';
import net from 'node:net';
import { expect, it } from 'vitest';
import { freePort } from '../../../../examples/demo/ports.ts';
import { Probes } from './probes.ts';

it('tells why a call was in vain, from the first one that ended to the next good one', async () => {
  const { signal } = new AbortController();
  const server = net.createServer((socket) => socket.destroy());
  const listen = (port: number) => once(server.listen(port, '127.0.0.1'), 'listening');
  const port = await freePort();
  await listen(port);
  const target = { host: '127.0.0.1', port };
  let now = 0;
  const probes = new Probes(() => now);
  const look = async () => {
    probes.listening(target);
    await probes.run(signal);
    now += 5_000;
    return { listening: probes.listening(target), cause: probes.cause(target) };
  };
  probes.listening(target);
  expect(probes.cause(target)).toBeUndefined();
  expect(await look()).toEqual({ listening: true, cause: undefined });
  server.close();
  await once(server, 'close');
  expect(await look()).toEqual({ listening: false, cause: 'connection refused' });
  await listen(port);
  expect(await look()).toEqual({ listening: true, cause: undefined });
  server.close();
});
