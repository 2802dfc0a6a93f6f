import { once } from 'node:events';
import { chmodSync, closeSync, mkdtempSync, openSync, readdirSync, rmSync, statSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Transport } from '../transport.ts';
import { acceptHandles, type Elsewhere } from './handle-connections.ts';
import { HELD, OVER } from './pass-sockets.fixture.ts';
import { MOST_PASSED, receiveSockets, type SocketSender, sendSockets } from './pass-sockets.ts';

const WITHIN_MS = 60_000;

let directory: string;
let server: net.Server;
let sender: SocketSender;
let thread: Worker;
let elsewhere: Elsewhere['take'];
/** Those that stayed here. */
let here: Pick<Transport, 'destroy'>[];

beforeEach(async () => {
  // Longer than the path of a Unix socket may be.
  directory = mkdtempSync(join(tmpdir(), `weft-${'x'.repeat(110)}`));
  elsewhere = () => false;
  here = [];
  server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  acceptHandles(server, (transport) => here.push(transport), {
    gate: { open: true },
    take: (...passed) => elsewhere(...passed),
  });
  sender = await sendSockets(directory, WITHIN_MS);
  thread = new Worker(new URL('./pass-sockets.fixture.ts', import.meta.url), { workerData: sender.way });
});
afterEach(async () => {
  sender.close();
  await thread.terminate();
  server.close();
  for (const transport of here) transport.destroy();
  rmSync(directory, { recursive: true });
});

/** What it hears until its end. */
async function call(): Promise<string> {
  const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  let heard = '';
  for await (const piece of socket) heard += String(piece);
  return heard;
}

const files = () => readdirSync('/proc/self/fd').length;

test('a connection is served by the other thread, as often as there are some, and no file is left behind', async () => {
  thread.postMessage('begin');
  await sender.joined;
  let number = 0;
  elsewhere = (handle, back) => sender.pass(handle, `call ${number++}`, back);
  await call();
  await expect.poll(() => sender.outstanding).toBe(0);
  const before = files();
  const calls = Array.from({ length: 3 * MOST_PASSED }, (_, at) => `call ${at + 1}`);
  const heard: string[] = [];
  while (heard.length < calls.length) heard.push(...(await Promise.all(calls.slice(0, 64).map(call))));
  expect(new Set(heard)).toEqual(new Set(calls));
  expect(here).toEqual([]);
  await expect.poll(files).toBeLessThanOrEqual(before);
});

/** What it is told by. */
const shared = () => new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

test('what the other thread does not take is bounded, and the rest stays with its first', async () => {
  thread.postMessage('begin');
  await sender.joined;
  const hold = shared();
  thread.postMessage({ hold });
  await expect.poll(() => Atomics.load(hold, 0)).toBe(HELD);
  let passed = 0;
  elsewhere = (handle, back) => {
    const goes = sender.pass(handle, 'late', back);
    if (goes) passed += 1;
    return goes;
  };
  const calls = Array.from({ length: 2 * MOST_PASSED }, () =>
    net.connect((server.address() as net.AddressInfo).port, '127.0.0.1').on('error', () => {}),
  );
  await expect.poll(() => passed + here.length, { timeout: 30_000 }).toBe(calls.length);
  expect([passed, here.length, sender.outstanding]).toEqual([MOST_PASSED, MOST_PASSED, MOST_PASSED]);
  Atomics.store(hold, 0, OVER);
  Atomics.notify(hold, 0);
  await expect.poll(() => sender.outstanding, { timeout: 30_000 }).toBe(0);
  for (const socket of calls) socket.destroy();
});

test('what the system does not take is here again', async () => {
  thread.postMessage('begin');
  await sender.joined;
  await thread.terminate();
  elsewhere = (handle, back) => sender.pass(handle, 'never', back);
  const calls = Array.from({ length: 8 }, () =>
    net.connect((server.address() as net.AddressInfo).port, '127.0.0.1').on('error', () => {}),
  );
  await expect.poll(() => here.length).toBe(calls.length);
  expect(sender.outstanding).toBe(0);
  for (const socket of calls) socket.destroy();
});

test('nobody else can connect, and who does not say the word is given nothing', async () => {
  chmodSync(directory, 0o755);
  const mask = process.umask(0);
  sender.close();
  sender = await sendSockets(directory, WITHIN_MS).finally(() => process.umask(mask));
  expect(statSync(`${directory}/thread.sock`).mode & 0o777).toBe(0o600);

  const silent = net.connect(sender.way.path);
  const wrong = net.connect(sender.way.path, () => wrong.write('x'.repeat(sender.way.word.length)));
  await once(wrong.resume(), 'close');
  await expect(receiveSockets({ ...sender.way, word: `${sender.way.word}0` }, refuse, refuse)).rejects.toThrow(
    'did not take it in',
  );
  expect(sender.pass({}, 'text', () => {})).toBe(false);
  const close = await receiveSockets(sender.way, refuse, refuse);
  await sender.joined;
  await once(silent.resume(), 'close');
  close();
});

function refuse(): never {
  throw new Error('nothing was passed');
}

test('a thread that does not come in time is waited for no longer', async () => {
  const late = await sendSockets(directory, 1);
  await expect(late.joined).rejects.toThrow('did not come within 0.001 s');
  late.close();
  await expect(receiveSockets(late.way, refuse, refuse)).rejects.toThrow('connect');
});

test('nothing is passed before the other side is there, nor after the end', async () => {
  const handle = {};
  expect(sender.pass(handle, 'text', () => {})).toBe(false);
  sender.close();
  await expect(sender.joined).rejects.toThrow('it was closed');
  expect(sender.pass(handle, 'text', () => {})).toBe(false);
});

test('a way that is closed leaves no file, and none of those that others open meanwhile', async () => {
  await once(thread, 'online');
  const again = async () => {
    const next = await sendSockets(directory, WITHIN_MS);
    const close = await receiveSockets(next.way, refuse, refuse);
    await next.joined;
    next.close();
    close();
  };
  await again();
  const before = files();
  await again();
  await expect.poll(files).toBe(before);
  // Its number is far above the lowest that is free.
  const held = Array.from({ length: 200 }, () => openSync('/dev/null', 'r'));
  const next = await sendSockets(directory, WITHIN_MS);
  const close = await receiveSockets(next.way, refuse, refuse);
  await next.joined;
  for (const file of held) closeSync(file);
  next.close();
  close();
  await expect.poll(files).toBe(before);

  const state = shared();
  const lost = once(thread, 'message');
  thread.postMessage({ disturb: state });
  await expect.poll(() => Atomics.load(state, 0)).toBe(HELD);
  for (let times = 0; times < 300; times++) await again();
  Atomics.store(state, 0, OVER);
  expect(await lost).toEqual([0]);
}, 60_000);
