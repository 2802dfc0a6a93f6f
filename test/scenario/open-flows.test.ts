/** What is open now, across the network: asked of agents over their own streams, one of which hangs. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import { adminService, openFlowFromWire, openFlowsStateCodec } from '@weft/proto/wire';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../harness/until.ts';
import type { Agent } from './agent.ts';
import { Mesh, NETWORK } from './mesh.ts';
import { echo, echoUdp, type Program, says } from './programs.ts';

const MESH = `
services:
  redis: { kind: private, ports: [6379] }
  stats: { kind: private, ports: [8125/udp] }
  mail: { kind: private, ports: [25] }
`;

let mesh: Mesh;
let near: Agent;
let data: Agent;
let post: Agent;
const programs: Program[] = [];
const udp = dgram.createSocket('udp4');

beforeAll(async () => {
  mesh = await Mesh.start(MESH);
  const [tcp, datagrams] = [await echo(), await echoUdp()];
  programs.push(tcp, datagrams);
  data = await mesh.agent('data', {
    services: { redis: { 6379: tcp.port }, stats: { '8125/udp': datagrams.port } },
    workers: 2,
    controlRelay: true,
  });
  post = await mesh.agent('post', { services: { mail: { 25: tcp.port } } });
  near = await mesh.agent('near');
});
afterAll(async () => {
  udp.close();
  data.controlRelay.unstall();
  await mesh.close();
  await Promise.all(programs.map((program) => program.stop()));
});

async function open(filter: { service?: string; host?: string } = {}) {
  const hosts: string[] = [];
  const flows: ReturnType<typeof openFlowFromWire>[] = [];
  let pageToken = '';
  do {
    const page = await mesh.ask(adminService.listOpenFlows, { network: NETWORK, filter, pageToken });
    for (const told of page.hosts) {
      hosts.push(`${told.host} ${openFlowsStateCodec.fromWire(told.state, 'state')}`);
      flows.push(...told.flows.map(openFlowFromWire));
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return { hosts, flows: flows.sort((one, other) => one.service.localeCompare(other.service)) };
}

test('flows of all hosts and threads are told once, also while an agent hangs; and recorded under the same id', async () => {
  const calls = [await near.connect('redis', 6379), await near.connect('redis', 6379), await post.connect('mail', 25)];
  for (const call of calls) await says(call, 'hello');
  udp.send('ping', 8125, await near.vip('stats'));
  await once(udp, 'message');

  const whole = await open();
  expect(whole.hosts).toEqual(['data told', 'near told', 'post told']);
  const redis = {
    source: 'host:near',
    sourceHost: 'near',
    instance: 'redis/0',
    destinationHost: 'data',
    protocol: 'tcp',
  };
  expect(whole.flows).toMatchObject([
    { service: 'mail', source: 'mail', sourceHost: 'post', destinationHost: 'post', port: 25 },
    { service: 'redis', ...redis, bytesSent: 5, bytesReceived: 5 },
    { service: 'redis', ...redis },
    { service: 'stats', sourceHost: 'near', protocol: 'udp', port: 8125, bytesSent: 4, bytesReceived: 4 },
  ]);
  expect(new Set(whole.flows.map(({ id }) => id)).size).toBe(4);
  expect((await open({ service: 'redis' })).flows).toHaveLength(2);
  expect((await open({ host: 'post' })).flows).toMatchObject([{ service: 'mail' }]);

  // Its stream hangs, and its flows do not: what it cannot tell, near can.
  data.controlRelay.stall();
  const partial = await open();
  expect(partial.hosts).toEqual(['data no-answer', 'near told', 'post told', 'near told']);
  const ids = (flows: readonly { readonly id: string }[]): string[] =>
    flows.map(({ id }) => id).sort((one, other) => one.localeCompare(other));
  expect(ids(partial.flows)).toEqual(ids(whole.flows));
  data.controlRelay.unstall();
  for (const call of calls) call.destroy();
  const records = await mesh.recorded('redis', 2);
  expect(ids(records)).toEqual(ids(whole.flows.filter(({ service }) => service === 'redis')));
  await until(
    'flows that ended are not open',
    () => open(),
    ({ flows }) => flows.every(({ service }) => service === 'stats'),
  );
});
