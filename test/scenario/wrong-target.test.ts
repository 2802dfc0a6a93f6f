/** A target where nothing listens: who asks what is told the address that was tried, until a program is there. */
import { once } from 'node:events';
import net from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../examples/demo/ports.ts';
import { until } from '../harness/until.ts';
import type { Agent } from './agent.ts';
import { weft } from './command.ts';
import { Mesh } from './mesh.ts';
import { ending } from './programs.ts';

let mesh: Mesh;
let near: Agent;
let data: Agent;
let port: number;

beforeAll(async () => {
  mesh = await Mesh.start('services: { redis: { kind: private, ports: [6379] } }');
  port = await freePort();
  data = await mesh.agent('data', { services: { redis: { 6379: port } } });
  near = await mesh.agent('near');
}, 30_000);
afterAll(() => mesh.close());

test('is told wherever one looks, and is over when a program is there', async () => {
  const tried = `redis 6379 → 127.0.0.1:${port}: connection refused`;
  const commands = {
    status: () => weft({}, 'status', '--data', data.directory),
    agents: () => weft(mesh.environment, 'agents'),
    explain: () => weft(mesh.environment, 'explain', 'host:near', 'redis:6379'),
  };
  for (const [name, ask] of Object.entries(commands))
    await until(name, ask, ({ out, err }) => (out + err).includes(tried));
  expect(await ending(await near.connect('redis', 6379, 0))).toBe('reset');
  const [record] = await mesh.recorded('redis', 1);
  expect(record).toMatchObject({
    outcome: 'not-listening',
    destinationHost: 'data',
    detail: `redis/0 on data: ${tried}`,
  });
  expect((await weft(mesh.environment, 'flows')).out).toContain(tried);

  const server = net.createServer((socket) => socket.on('error', () => {}).end());
  await once(server.listen(port, '127.0.0.1'), 'listening');
  await near.vip('redis');
  for (const [name, ask] of Object.entries(commands))
    await until(name, ask, ({ out, err }) => !(out + err).includes('refused'));
  server.close();
});
