import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Transport } from '../transport.ts';
import { acceptHandles, type Elsewhere } from './handle-connections.ts';
import { MOST_PASSED, type SocketSender, sendSockets } from './pass-sockets.ts';

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
  sender = await sendSockets(directory);
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

test('what the other thread does not take is bounded, and stays with its first; so does what the system was not given', async () => {
  // It does not take any: it joins, and its loop is held up.
  thread.postMessage('begin');
  await sender.joined;
  await thread.terminate();
  let passed = 0;
  let back = 0;
  elsewhere = (handle, again) => {
    const goes = sender.pass(handle, 'never', () => {
      back += 1;
      again();
    });
    if (goes) passed += 1;
    return goes;
  };
  const calls = Array.from({ length: 2 * MOST_PASSED }, () =>
    net.connect((server.address() as net.AddressInfo).port, '127.0.0.1').on('error', () => {}),
  );
  await expect.poll(() => passed + here.length - back).toBeGreaterThanOrEqual(calls.length);
  expect(passed).toBeLessThanOrEqual(calls.length);
  for (const socket of calls) socket.destroy();
  expect(sender.outstanding).toBeLessThanOrEqual(MOST_PASSED);
});

test('nothing is passed before the other side is there, nor after the end', async () => {
  const handle = {};
  expect(sender.pass(handle, 'text', () => {})).toBe(false);
  sender.close();
  await expect(sender.joined).rejects.toThrow('it was closed');
  expect(sender.pass(handle, 'text', () => {})).toBe(false);
});

test('a way that was closed leaves its number to the next', async () => {
  thread.postMessage('begin');
  await sender.joined;
  const before = files();
  sender.close();
  const opened = await sendSockets(directory);
  opened.close();
  await expect.poll(files).toBeLessThan(before);
});
