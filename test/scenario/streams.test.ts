import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../harness/until.ts';
import { type Agent, connect } from './agent.ts';
import { Mesh } from './mesh.ts';
import { echo, ending, hears, says, serveTcp, type TcpProgram } from './programs.ts';

const MESH = `
services:
  bulk: { kind: private, ports: [9000] }
  halves: { kind: private, ports: [9000] }
  resets: { kind: private, ports: [9000] }
  short: { kind: private, ports: [9000] }
  burst: { kind: private, ports: [9000] }
`;

let mesh: Mesh;
let near: Agent;
let far: Agent;
const programs: TcpProgram[] = [];
const waiting: ((socket: Socket) => void)[] = [];
/** Of the program behind bulk, halves and resets: each test plays the server itself. */
function accepted(): Promise<Socket> {
  return new Promise((resolve) => waiting.push(resolve));
}

beforeAll(async () => {
  mesh = await Mesh.start(MESH);
  const played = await serveTcp((socket) => waiting.shift()?.(socket));
  const echoing = await echo();
  programs.push(played, echoing);
  const target = { 9000: played.port };
  far = await mesh.agent('far', {
    services: {
      bulk: target,
      halves: target,
      resets: target,
      short: { 9000: echoing.port },
      burst: { 9000: echoing.port },
    },
  });
  near = await mesh.agent('near');
});
afterAll(async () => {
  await mesh.close();
  await Promise.all(programs.map((program) => program.stop()));
});

test('a reader that stops also stops the writer, in bounded memory, and all arrives when it goes on', async () => {
  const TOTAL = 208 << 20;
  const piece = Buffer.alloc(1 << 20, 'weft ');
  const sent = createHash('sha256');
  for (let bytes = 0; bytes < TOTAL; bytes += piece.length) sent.update(piece);
  const server = accepted();
  const client = await near.connect('bulk', 9000);
  const reader = await server;
  reader.pause();
  const before = process.memoryUsage();
  let offered = 0;
  const write = (): void => {
    while (offered < TOTAL) {
      offered += piece.length;
      if (!client.write(piece)) return;
    }
    client.end();
  };
  client.on('drain', write);
  write();
  // What left the writer: kernel buffers of three connections, and a credit window. Two looks apart without a step: it stands.
  const taken = () => client.bytesWritten - client.writableLength;
  let seen = -1;
  await until(
    'a writer that stands still',
    async () => {
      const still = taken() === seen;
      seen = taken();
      await new Promise((resolve) => setTimeout(resolve, 300));
      return still;
    },
    Boolean,
  );
  const during = process.memoryUsage();
  expect(seen).toBeGreaterThan(64 << 10);
  expect(seen).toBeLessThan(32 << 20);
  const held = during.arrayBuffers + during.heapUsed - before.arrayBuffers - before.heapUsed;
  expect(held).toBeLessThan(24 << 20);

  const received = createHash('sha256');
  let bytes = 0;
  reader.on('data', (data) => {
    bytes += data.length;
    received.update(data);
  });
  reader.resume();
  await once(reader, 'end');
  expect(bytes).toBe(TOTAL);
  expect(received.digest('hex')).toBe(sent.digest('hex'));
  const closed = ending(client);
  reader.end();
  expect(await closed).toBe('closed');
  expect(await mesh.recorded('bulk', 1)).toMatchObject([
    { outcome: 'closed', verdict: 'allow', rule: 'default', bytesSent: TOTAL, bytesReceived: 0, sourceHost: 'near' },
  ]);
});

test('a half that is closed passes, whichever side closes first', async () => {
  let server = accepted();
  let client = await near.connect('halves', 9000);
  let service = await server;
  client.end('the question');
  const ended = once(service, 'end');
  expect(await hears(service)).toBe('the question');
  service.resume();
  await ended;
  // The client is done and still hears.
  service.write('the answer');
  expect(await hears(client)).toBe('the answer');
  const closed = ending(client);
  service.end();
  expect(await closed).toBe('closed');

  server = accepted();
  client = await near.connect('halves', 9000);
  service = await server;
  service.end('a greeting');
  const over = once(client, 'end');
  expect(await hears(client)).toBe('a greeting');
  client.resume();
  await over;
  client.write('thanks');
  expect(await hears(service)).toBe('thanks');
  const gone = ending(service);
  client.end();
  expect(await gone).toBe('closed');
  expect(await mesh.recorded('halves', 2)).toMatchObject([
    { outcome: 'closed', bytesSent: 12, bytesReceived: 10 },
    { outcome: 'closed', bytesSent: 6, bytesReceived: 10 },
  ]);
});

test('a reset passes both ways, and the record names the side', async () => {
  let server = accepted();
  let client = await near.connect('resets', 9000);
  let service = await server;
  service.write('hello');
  expect(await hears(client)).toBe('hello');
  const told = ending(client);
  service.resetAndDestroy();
  expect(await told).toBe('reset');
  await mesh.recorded('resets', 1);

  server = accepted();
  client = await near.connect('resets', 9000);
  service = await server;
  client.write('hello');
  expect(await hears(service)).toBe('hello');
  const heard = ending(service);
  client.resetAndDestroy();
  expect(await heard).toBe('reset');
  expect(await mesh.recorded('resets', 2)).toMatchObject([
    { outcome: 'reset', detail: expect.stringContaining('reset by the service') },
    { outcome: 'reset', detail: expect.stringContaining('reset by the caller') },
  ]);
});

test('a thousand short connections one after the other leave nothing behind', async () => {
  const vip = await near.vip('short');
  const once = async (): Promise<void> => {
    const client = await connect(vip, 9000);
    await says(client, 'ping');
    const closed = ending(client);
    client.end();
    if ((await closed) !== 'closed') throw new Error('reset');
  };
  for (let warm = 0; warm < 20; warm++) await once();
  await near.idle();
  const before = openFiles();
  for (let count = 20; count < 1_000; count++) await once();
  await near.idle();
  await far.idle();
  await until('files to be closed', openFiles, (files) => files <= before + 5);
  const records = await mesh.recorded('short', 1_000);
  expect(records.every(({ outcome, bytesSent }) => outcome === 'closed' && bytesSent === 4)).toBe(true);
});

test('fifty connections at once', async () => {
  const vip = await near.vip('burst');
  const clients = await Promise.all(Array.from({ length: 50 }, () => connect(vip, 9000)));
  await Promise.all(clients.map((client, index) => says(client, `I am ${index}`.repeat(1_000))));
  expect((await near.status()).flows.open).toBe(50);
  const closed = clients.map(ending);
  for (const client of clients) client.end();
  expect(new Set(await Promise.all(closed))).toEqual(new Set(['closed']));
  await near.idle();
  await far.idle();
  const records = await mesh.recorded('burst', 50);
  expect(new Set(records.map(({ outcome }) => outcome))).toEqual(new Set(['closed']));
});

function openFiles(): number {
  return readdirSync('/proc/self/fd').length;
}
