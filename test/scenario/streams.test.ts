import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findNative } from '../../packages/agent/src/bytes/inside/native-calls.ts';
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
  urgent: { kind: private, ports: [9000] }
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

/** Hears the first caller to its end, and says so with an urgent byte in the midst. */
const URGENT_SERVER = `
use strict; use Socket; $| = 1;
socket(my $listener, AF_INET, SOCK_STREAM, 0) or die $!;
bind($listener, pack_sockaddr_in(0, INADDR_LOOPBACK)) && listen($listener, 9) or die $!;
print((unpack_sockaddr_in(getsockname $listener))[0]);
accept(my $caller, $listener) or die $!;
setsockopt($caller, SOL_SOCKET, SO_OOBINLINE, 1) or die $!;
my $heard = do { local $/; <$caller> };
send($caller, "heard $heard, ", 0); send($caller, '!', MSG_OOB); send($caller, ' is said', 0);
`;
/** As a client of telnet or FTP that interrupts. */
const URGENT_CLIENT = `
use strict; use Socket;
socket(my $service, AF_INET, SOCK_STREAM, 0) or die $!;
connect($service, pack_sockaddr_in(9000, inet_aton(shift))) or die $!;
setsockopt($service, SOL_SOCKET, SO_OOBINLINE, 1) or die $!;
send($service, 'stop', 0); send($service, '!', MSG_OOB); send($service, 'ABOR', 0); shutdown($service, 1);
print do { local $/; <$service> };
`;
let urgentServer: ReturnType<typeof runPerl>;
function runPerl(program: string, ...words: string[]) {
  return spawn('perl', ['-e', program, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
}

beforeAll(async () => {
  mesh = await Mesh.start(MESH);
  const played = await serveTcp((socket) => waiting.shift()?.(socket));
  const echoing = await echo();
  programs.push(played, echoing);
  urgentServer = runPerl(URGENT_SERVER);
  const [port] = (await once(urgentServer.stdout, 'data')) as [Buffer];
  const target = { 9000: played.port };
  far = await mesh.agent('far', {
    services: {
      bulk: target,
      halves: target,
      resets: target,
      short: { 9000: echoing.port },
      burst: { 9000: echoing.port },
      urgent: { 9000: Number(port) },
    },
  });
  near = await mesh.agent('near');
});
afterAll(async () => {
  urgentServer.kill();
  await mesh.close();
  await Promise.all(programs.map((program) => program.stop()));
});

/** Writes so many bytes as fast as they are taken, then ends. */
function pour(socket: Socket, total: number): void {
  const piece = Buffer.alloc(1 << 20, 'weft ');
  let offered = 0;
  const write = (): void => {
    while (offered < total) {
      offered += piece.length;
      if (!socket.write(piece)) return;
    }
    socket.off('drain', write);
    socket.end();
  };
  socket.on('drain', write);
  write();
}

/** How many bytes had left the writer when it came to stand still: two looks apart without a step. */
async function standstill(socket: Socket): Promise<number> {
  let seen = -1;
  const look = async (): Promise<boolean> => {
    const before = seen;
    seen = socket.bytesWritten - socket.writableLength;
    await new Promise((resolve) => setTimeout(resolve, 300));
    return seen === before;
  };
  await until('a writer that stands still', look);
  return seen;
}

/** Reads to the end; answers how much there was, and its digest. */
async function drink(socket: Socket): Promise<{ bytes: number; digest: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  socket.on('data', (data) => {
    bytes += data.length;
    hash.update(data);
  });
  socket.resume();
  await once(socket, 'end');
  return { bytes, digest: hash.digest('hex') };
}

function digestOf(total: number): string {
  const hash = createHash('sha256');
  const piece = Buffer.alloc(1 << 20, 'weft ');
  for (let bytes = 0; bytes < total; bytes += piece.length) hash.update(piece);
  return hash.digest('hex');
}

test.each([
  ['the service', 'near', 208 << 20],
  ['the caller', 'near', 96 << 20],
  ['the service', 'far', 96 << 20],
] as const)(
  '%s stops reading, on a call from %s: the writer stops too, in bounded memory, and all arrives when it goes on',
  async (reading, from, total) => {
    const before = (await mesh.records('bulk')).length;
    const server = accepted();
    const client = await (from === 'near' ? near : far).connect('bulk', 9000);
    const service = await server;
    const [writer, reader] = reading === 'the service' ? [client, service] : [service, client];
    reader.pause();
    const heldBefore = held();
    pour(writer, total);
    const taken = await standstill(writer);
    // Kernel buffers of up to three connections, and a credit window.
    expect(taken).toBeGreaterThan(64 << 10);
    expect(taken).toBeLessThan(32 << 20);
    expect(held() - heldBefore).toBeLessThan(24 << 20);

    expect(await drink(reader)).toEqual({ bytes: total, digest: digestOf(total) });
    const closed = ending(writer);
    reader.end();
    expect(await closed).toBe('closed');
    const [bytesSent, bytesReceived] = writer === client ? [total, 0] : [0, total];
    const records = await mesh.recorded('bulk', before + 1);
    expect(records.at(-1)).toMatchObject({
      outcome: 'closed',
      rule: 'default',
      bytesSent,
      bytesReceived,
      sourceHost: from,
    });
  },
);

/** Bytes that this process keeps, in and outside the heap. */
function held(): number {
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  return arrayBuffers + heapUsed;
}

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

test.skipIf(typeof findNative() === 'string')(
  'a byte that is sent as urgent stays where it was sent, both ways',
  async () => {
    const client = runPerl(URGENT_CLIENT, await near.vip('urgent'));
    expect(await text(client.stdout)).toBe('heard stop!ABOR, ! is said');
  },
);
