import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../harness/until.ts';
import type { Agent } from './agent.ts';
import { Mesh } from './mesh.ts';

const HOST = 'shop.example.com';
const LOCAL = 'local.example.com';
const MESH = `
services:
  shop: { kind: web, ports: [3000], public: { port: 3000, hosts: [${HOST}] } }
  local: { kind: web, ports: [3000], public: { port: 3000, hosts: [${LOCAL}] } }
`;

let mesh: Mesh;
let edge: Agent;
let address: URL;
const server = http.createServer((request, response) => {
  if (request.url === '/endless') response.write('once upon a time');
  else response.end(`you asked ${request.url}`);
});

beforeAll(async () => {
  mesh = await Mesh.start(MESH);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const target = { 3000: (server.address() as AddressInfo).port };
  await mesh.agent('back', { services: { shop: target } });
  edge = await mesh.agent('edge', { services: { local: target }, gateway: { host: '127.0.0.1', port: 0 } });
  const { gateway } = await until(
    'the gateway',
    () => edge.status(),
    (status) => status.gateway !== '',
  );
  address = new URL(`http://${gateway}`);
  await edge.vip('shop');
  await edge.vip('local');
});
afterAll(async () => {
  await mesh.close();
  server.closeAllConnections();
  server.close();
});

async function get(host: string, path: string, agent: http.Agent | false = false): Promise<string> {
  const request = http.request({ host: address.hostname, port: address.port, path, headers: { host }, agent });
  request.end();
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  return await text(response);
}

test.each([
  ['shop', HOST, 'back'],
  ['local', LOCAL, 'edge'],
])('requests to %s that were answered end in a flow that closed', async (service, host, destinationHost) => {
  expect(await get(host, '/a')).toBe('you asked /a');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  expect(await get(host, '/b', agent)).toBe('you asked /b');
  expect(await get(host, '/c', agent)).toBe('you asked /c');
  agent.destroy();
  await edge.idle();
  // Two public connections, and so two flows, the second with two requests.
  const shared = {
    outcome: 'closed',
    source: 'internet',
    rule: 'builtin:ingress',
    sourceHost: 'edge',
    destinationHost,
  };
  expect(await mesh.recorded(service, 2)).toMatchObject([shared, shared]);
});

test('a client that leaves in the middle of an answer is recorded as a reset', async () => {
  const before = (await mesh.records('shop')).length;
  const request = http.request({
    host: address.hostname,
    port: address.port,
    path: '/endless',
    headers: { host: HOST },
    agent: false,
  });
  request.on('error', () => {});
  request.end();
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  await once(response, 'readable');
  request.destroy();
  expect((await mesh.recorded('shop', before + 1)).at(-1)).toMatchObject({
    outcome: 'reset',
    bytesReceived: expect.any(Number),
  });
});
