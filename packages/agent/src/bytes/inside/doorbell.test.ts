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

/** What a program says and ends with, that has these at hand. */
async function run(script: string, before = 'true'): Promise<[code: number, output: string, errors: string]> {
  const here = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);
  const whole = `
    const { Doorbell } = await import(${here('./doorbell.ts')});
    const { findNative } = await import(${here('./native-calls.ts')});
    const { addressSocket } = await import(${here('../address-socket.ts')});
    ${script}
  `;
  const child = spawn('sh', ['-c', `${before}; exec "$0" --input-type=module -e "$1"`, process.execPath, whole], {
    timeout: 30_000,
  });
  const [output, errors] = [child.stdout, child.stderr].map((stream) => stream.setEncoding('utf8').toArray());
  const [code] = (await once(child, 'close')) as [number];
  return [code, ((await output) ?? []).join(''), ((await errors) ?? []).join('')];
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
    bell.watch(shared, () => 0);
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

  test('lets so much be done in a turn, and each of those that rang have its own', async () => {
    let turns = 0;
    const bell = Doorbell.hang(calls, (serve) => {
      turns += 1;
      serve();
    });
    const sockets = await Promise.all([bound(), bound(), bound()]);
    const order: number[] = [];
    for (const [index, socket] of sockets.entries()) {
      bell?.watch(socket, () => (order.push(index) > 0 ? 256 : 0));
    }
    for (const socket of sockets) sockets[0]?.send('read by nobody', socket.address().port, '127.0.0.1');
    await until(() => new Set(order).size === 3 && order.length >= 12);
    expect(turns).toBe(order.length);
    for (const index of [0, 1, 2]) expect(order.slice(-6).filter((one) => one === index)).toHaveLength(2);
  });

  test('is no reason for a thread to stay once nothing is watched', async () => {
    const script = `
      const bell = Doorbell.hang(findNative(), (serve) => serve());
      const socket = addressSocket('udp4');
      socket.bind(0, '127.0.0.1');
      bell.watch(socket, () => { console.log('rang'); socket.close(); return 1; });
      const source = addressSocket('udp4');
      source.send('ring', socket.address().port, '127.0.0.1', () => source.close());
    `;
    expect(await run(script)).toEqual([0, 'rang\n', '']);
  });

  test('ends a thread whose epoll is none any more, and does not ring in vain for ever', async () => {
    const script = `
      const bell = Doorbell.hang({ ...findNative(), ready: () => -9 }, (serve) => serve());
      const socket = addressSocket('udp4');
      socket.bind(0, '127.0.0.1');
      bell.watch(socket, () => 0);
      process.on('uncaughtException', ({ message }) => { console.log(message); process.exit(3); });
      socket.send('ring', socket.address().port, '127.0.0.1');
    `;
    expect(await run(script)).toEqual([3, 'epoll_wait EBADF\n', '']);
  });

  test('is found also where no file can be opened just then', async () => {
    const script = `
      const { openSync } = await import('node:fs');
      let code;
      try {
        for (;;) openSync('/dev/null');
      } catch (error) {
        code = error.code;
      }
      const found = findNative();
      process.stdout.write(code + ' ' + (typeof found === 'string' ? found : 'calls'));
    `;
    expect(await run(script, 'ulimit -n 64')).toEqual([0, 'EMFILE calls', '']);
  });
});

test('there is none where the system gives none', async () => {
  if (typeof native === 'string') return;
  expect(Doorbell.hang({ ...native, pollInstead: () => -24 }, (serve) => serve())).toBeUndefined();
});
