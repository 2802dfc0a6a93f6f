import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { until } from '../harness/until.ts';
import { type Agent, connect } from './agent.ts';
import { Mesh } from './mesh.ts';

const HOST = 'shop.example.com';
const LOCAL = 'local.example.com';
const MESH = `
services:
  shop: { kind: web, ports: [3000], public: { port: 3000, hosts: [${HOST}] } }
  local: { kind: web, ports: [3000], public: { port: 3000, hosts: [${LOCAL}] } }
  ledger: { kind: private, ports: [3000] }
`;

let mesh: Mesh;
let edge: Agent;
let address: URL;
const server = http.createServer((request, response) => {
  if (request.url === '/endless') response.write('once upon a time');
  else response.end(`you asked ${request.url}`);
});
const sockets = new WebSocketServer({ server });
sockets.on('connection', (socket, request) => {
  socket.send(`welcome to ${request.url}`);
  socket.on('message', (data, binary) => socket.send(data, { binary }));
});

beforeAll(async () => {
  mesh = await Mesh.start(MESH);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const target = { 3000: (server.address() as AddressInfo).port };
  await mesh.agent('back', { services: { shop: target, ledger: target }, zone: 'eu-1b' });
  edge = await mesh.agent('edge', {
    services: { local: target },
    gateway: { host: '127.0.0.1', port: 0 },
    zone: 'eu-1a',
  });
  const { gateway } = await until(
    'the gateway',
    () => edge.status(),
    (status) => status.gateway !== '',
  );
  address = new URL(`http://${gateway}`);
  await edge.vip('shop');
  await edge.vip('local');
  await edge.vip('ledger');
});
afterAll(async () => {
  await mesh.close();
  for (const socket of sockets.clients) socket.terminate();
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
    // Of who records: the host that it reached.
    zone: destinationHost === 'edge' ? 'eu-1a' : 'eu-1b',
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
  // It may have closed no more than its half: the gateway gives the answer 5 s to go on.
  expect((await mesh.recorded('shop', before + 1, 10_000)).at(-1)).toMatchObject({
    outcome: 'reset',
    bytesReceived: expect.any(Number),
  });
});

test('a WebSocket carries messages both ways, and its flow ends with it', async () => {
  const before = (await mesh.records('shop')).length;
  const client = new WebSocket(new URL('/chat', address).href.replace('http:', 'ws:'), { headers: { host: HOST } });
  const [welcome] = await once(client, 'message');
  expect(String(welcome)).toBe('welcome to /chat');
  for (const size of [0, 1, 126, 65_536, 300_000]) {
    const sent = Buffer.alloc(size, 'z');
    client.send(sent);
    const [received] = await once(client, 'message');
    expect(sent.equals(received as Buffer)).toBe(true);
  }
  client.close(4000, 'done');
  expect(await once(client, 'close')).toEqual([4000, Buffer.from('done')]);
  expect((await mesh.recorded('shop', before + 1)).at(-1)).toMatchObject({
    outcome: 'closed',
    source: 'internet',
    rule: 'builtin:ingress',
    sourceHost: 'edge',
    destinationHost: 'back',
  });
});

/** The answer to a request with these Host fields, as it stands on the wire; the request asks that the connection end. */
async function exchange(...hosts: string[]): Promise<string> {
  const socket = await connect(address.hostname, Number(address.port));
  const fields = hosts.map((host) => `Host: ${host}\r\n`).join('');
  socket.write(`GET /raw HTTP/1.1\r\n${fields}Connection: close\r\n\r\n`);
  return await text(socket);
}

test('only one Host, and only of a public service, opens a flow', async () => {
  const all = async (): Promise<number> => (await mesh.records()).length;
  const before = await all();
  for (const hosts of [[HOST, HOST], [HOST, 'ledger.internal'], ['ledger.internal', HOST], []]) {
    expect(await exchange(...hosts)).toMatch(/^HTTP\/1.1 400 /);
  }
  const unknown = await exchange('nobody.example.com');
  expect(unknown).toMatch(/^HTTP\/1.1 404 /);
  // What is private answers as what does not exist does, by each of its names.
  const undated = (answer: string): string => answer.replace(/^Date: .*\r\n/im, '');
  for (const host of ['ledger', 'ledger.internal', 'ledger.internal:3000', await edge.vip('ledger')]) {
    expect(undated(await exchange(host))).toBe(undated(unknown));
  }
  // The same request with a public name is carried, and is the only one that made a flow.
  expect(await exchange(HOST)).toMatch(/^HTTP\/1.1 200 [\s\S]*you asked \/raw/);
  await until('the one record', all, (count) => count > before);
  await edge.idle();
  expect(await all()).toBe(before + 1);
  expect(await mesh.records('ledger')).toEqual([]);
});

test('a rule about the internet closes a public service to it, and to nobody else', async () => {
  await mesh.apply(`${MESH}policies: [{ name: closed, action: deny, from: [internet], to: ["shop:3000"] }]\n`);
  expect(await get(HOST, '/a')).not.toContain('you asked');
  expect(await get(LOCAL, '/a')).toBe('you asked /a');
  const inside = await edge.connect('shop', 3000);
  inside.end('GET /inside HTTP/1.0\r\n\r\n');
  expect(await text(inside)).toContain('you asked /inside');
  await mesh.apply(MESH);
  expect(await get(HOST, '/a')).toBe('you asked /a');
});
