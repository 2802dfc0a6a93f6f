import { spawn } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { until } from '../../until.fixture.ts';
import { datagramHandleOf } from './datagram-output.ts';
import { Doorbell } from './doorbell.ts';
import { findNative, type NativeCalls } from './native-calls.ts';

const native = findNative();
const open = new Set<dgram.Socket>();

async function bound(): Promise<dgram.Socket> {
  const socket = dgram.createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  open.add(socket);
  return socket;
}

function close(socket: dgram.Socket): void {
  socket.close();
  open.delete(socket);
}

afterEach(() => {
  for (const socket of open) close(socket);
});

function hang(calls: NativeCalls): Doorbell {
  const bell = Doorbell.hang(calls, (serve) => serve());
  if (bell === undefined) throw new Error('no doorbell');
  return bell;
}

describe.skipIf(typeof native === 'string')('a doorbell', () => {
  const calls = native as NativeCalls;

  test('rings for each socket that has something, until it is read', async () => {
    const bell = hang(calls);
    const [one, other] = await Promise.all([bound(), bound()]);
    const rings = { one: 0, other: 0 };
    expect(bell.watch(one, () => rings.one++)).toBe(true);
    expect(bell.watch(other, () => rings.other++)).toBe(true);
    other.send('read by nobody', one.address().port, '127.0.0.1');
    await until(() => rings.one > 3);
    expect(rings.other).toBe(0);
    one.send('the same', other.address().port, '127.0.0.1');
    await until(() => rings.other > 3);
    close(one);
    const { one: before, other: after } = rings;
    await until(() => rings.other > after + 3);
    expect(rings.one).toBe(before);
  });

  test('is silent of a socket that is closed here and held by another process', async () => {
    let asked = 0;
    let polls = 0;
    const bell = hang({
      ...calls,
      // As where no file can be opened any more.
      pollInstead: (descriptor) => (polls++ === 0 ? calls.pollInstead(descriptor) : -24),
      ready: (poll, tokens) => {
        asked += 1;
        return calls.ready(poll, tokens);
      },
    });
    const [source, shared, own] = await Promise.all([bound(), bound(), bound()]);
    const { port } = shared.address();
    const fd = Number(datagramHandleOf(shared)?.fd);
    const holder = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore', fd] });
    await once(holder, 'spawn');
    bell.watch(shared, () => undefined);
    let rings = 0;
    bell.watch(own, () => rings++);
    close(shared);
    await new Promise((resolve) => source.send('read by nobody', port, '127.0.0.1', resolve));
    // Each turn of the loop would ring once.
    for (let turn = 0; turn < 20; turn++) await setImmediate();
    expect(asked).toBe(0);
    source.send('heard', own.address().port, '127.0.0.1');
    await until(() => rings > 0);
    holder.stdin?.end();
    await once(holder, 'close');
  });

  test('is no reason for a thread to stay once nothing is watched', async () => {
    const script = `
      const { Doorbell } = await import(${JSON.stringify(new URL('./doorbell.ts', import.meta.url).href)});
      const { findNative } = await import(${JSON.stringify(new URL('./native-calls.ts', import.meta.url).href)});
      const { addressSocket } = await import(${JSON.stringify(new URL('../address-socket.ts', import.meta.url).href)});
      const bell = Doorbell.hang(findNative(), (serve) => serve());
      const socket = addressSocket('udp4');
      socket.bind(0, '127.0.0.1');
      bell.watch(socket, () => { console.log('rang'); socket.close(); });
      const source = addressSocket('udp4');
      source.send('ring', socket.address().port, '127.0.0.1', () => source.close());
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const output = child.stdout.setEncoding('utf8').toArray();
    const [code] = (await once(child, 'close')) as [number];
    expect([code, (await output).join('')]).toEqual([0, 'rang\n']);
  });
});

test('there is none where the system gives none', async () => {
  if (typeof native === 'string') return;
  expect(Doorbell.hang({ ...native, pollInstead: () => -24 }, (serve) => serve())).toBeUndefined();
});
