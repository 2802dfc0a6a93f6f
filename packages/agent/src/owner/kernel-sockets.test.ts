import { execFileSync } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { Worker } from 'node:worker_threads';
import type { HostPort } from '@weft/proto';
import { afterEach, describe, expect, it } from 'vitest';
import { PERL } from './diagnosis.ts';
import { askConnection, QUESTION } from './diagnosis-message.ts';
import { DIAGNOSIS_PROGRAM } from './diagnosis-program.ts';
import { FirstLook } from './first-look.ts';
import { KernelSockets, provenKernel } from './kernel-sockets.ts';
import { changed, UNKNOWN_PROTOCOL, withoutDatagrams } from './netlink.fixture.ts';
import { type Netlink, openNetlink } from './netlink-calls.ts';
import { ownSockets } from './own-sockets.ts';

const SOCK_DIAG = 4;
const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const step of cleanup.splice(0).reverse()) step();
});

function opened(): Netlink {
  const netlink = openNetlink(SOCK_DIAG);
  if (netlink === undefined) throw new Error('there is none');
  cleanup.push(() => netlink.close());
  return netlink;
}

async function listening(host = '127.0.0.1'): Promise<HostPort> {
  const server = net.createServer(() => {}).listen(0, host);
  cleanup.push(() => server.close());
  await once(server, 'listening');
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

async function connected({
  host,
  port,
}: HostPort): Promise<{ readonly socket: net.Socket; readonly client: HostPort }> {
  const socket = net.connect(port, host);
  cleanup.push(() => socket.destroy());
  await once(socket, 'connect');
  return { socket, client: { host: '127.0.0.1', port: socket.localPort ?? 0 } };
}

/** That there is no such socket. */
function noSuch(answer: DataView): void {
  answer.setUint16(4, 2, true);
  answer.setInt32(16, -2, true);
}

/** Of the same length, with something else in it. */
function putting(put: (answer: DataView) => void): (answer: DataView, length: number) => number {
  return (answer, length) => {
    put(answer);
    return length;
  };
}

const has = openNetlink(SOCK_DIAG);
has?.close();

describe.skipIf(has === undefined)('the kernel, asked by this thread', () => {
  it('tells of a connection who made it, and of none that there is not', async () => {
    const called = await listening();
    const { socket, client } = await connected(called);
    const kernel = new KernelSockets(opened());
    const found = kernel.connection(client, called);
    expect(found).toMatchObject({ uid: process.geteuid?.() });
    expect(ownSockets().has((found as { inode: string }).inode)).toBe(true);
    expect(kernel.connection({ ...client, host: '127.0.0.2' }, called)).toBe('none');
    // Nobody calls from there, and somebody listens.
    expect(kernel.connection(called, { ...client, port: 1 })).toBe('none');
    socket.destroy();
    await once(socket, 'close');
    expect(kernel.connection(client, called)).toBe('none');
  });

  it('tells of one that calls from a socket of IPv6', async () => {
    const called = await listening();
    const { client } = await connected({ ...called, host: '::ffff:127.0.0.1' });
    expect(new KernelSockets(opened()).connection(client, called)).toMatchObject({ uid: process.geteuid?.() });
  });

  it('tells who listens at a port, and who has one for datagrams', async () => {
    const kernel = new KernelSockets(opened());
    const { port } = await listening();
    expect(kernel.at('tcp', port)).toMatchObject([{ address: '7f000001', port, taking: true }]);
    const datagrams = dgram.createSocket('udp6').bind(0, '::1');
    cleanup.push(() => datagrams.close());
    await once(datagrams, 'listening');
    const own = { address: `${'0'.repeat(31)}1`, port: datagrams.address().port, taking: true };
    expect(kernel.at('udp', own.port)).toMatchObject([own]);
    // All of them are more than one message.
    const many = await Promise.all(Array.from({ length: 300 }, () => listening()));
    const all = new Set(kernel.at('tcp', 0)?.map((told) => told.port));
    expect(many.filter((one) => !all.has(one.port))).toEqual([]);
  });

  it('says that it does not know who takes datagrams where it cannot list such sockets', () => {
    const kernel = new KernelSockets(withoutDatagrams(opened()));
    expect(kernel.takers('udp')).toBeUndefined();
    expect(kernel.at('udp', 0)).toBeUndefined();
    expect(kernel.takers('tcp')).toBeDefined();
    const program = DIAGNOSIS_PROGRAM.replace('[17, ', `[${UNKNOWN_PROTOCOL}, `);
    expect(execFileSync(PERL, ['-e', program], { input: 't 0000\nu 0000\n', encoding: 'utf8' })).toMatch(
      /^[^!].*\n!\n$/,
    );
  });

  it('takes no answer of another question for its own', async () => {
    const called = await listening();
    const { client } = await connected(called);
    const netlink = opened();
    const kernel = new KernelSockets(netlink);
    // Two whose answers nobody waited for.
    for (const sequence of [900, 901]) {
      askConnection(netlink.asked, sequence, client, called);
      expect(netlink.send(QUESTION)).toBe(QUESTION);
    }
    expect(kernel.connection({ ...client, host: '127.0.0.2' }, called)).toBe('none');
    expect(kernel.connection(client, called)).toMatchObject({ uid: process.geteuid?.() });
  });

  it.each([
    ['of another user', putting((answer) => answer.setUint32(80, 4_321, true))],
    ['of another socket', putting((answer) => answer.setUint32(84, 1, true))],
    ['of another of its own', putting((answer) => answer.setUint32(84, Number([...ownSockets()][0]), true))],
    ['nothing', putting(noSuch)],
    ['half', (_: DataView, length: number) => length - 8],
    ['more than it has room for', () => 2 ** 20],
    ['that it fails', () => -1],
  ])('is not believed where it tells %s of what is known', async (_, change) => {
    expect(await provenKernel(() => changed(opened(), change))).toBeUndefined();
  });

  it('is what a first look goes by, which asks nobody for a process that the other thread has no time to look for', async () => {
    const called = await listening();
    const { client } = await connected(called);
    const first = new FirstLook(new KernelSockets(opened()));
    const look = () => first.look({ protocol: 'tcp', client, called });
    const seen = look();
    const number = seen !== undefined && 'owner' in seen ? seen.socket.group : undefined;
    const group = number === undefined ? {} : { group: [number, undefined] as const };
    first.learn(group);
    expect(look()).toHaveProperty('owner.user');
    first.learn({ ...group, restMs: 600_000 });
    expect(look()).toMatchObject({ user: expect.stringMatching(/./), program: '' });
  });

  it('is asked by a thread that may wait where it makes who asks do so', async () => {
    const called = await listening();
    const { client } = await connected(called);
    const netlink = opened();
    const slowly = changed(netlink, (_, length) => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600);
      return length;
    });
    const first = new FirstLook(new KernelSockets(slowly));
    expect(first.look({ protocol: 'tcp', client, called })).toBeDefined();
    expect(first.look({ protocol: 'tcp', client, called })).toBeUndefined();
  });

  it('is believed where it tells what is so, and says nothing once it is closed', async () => {
    const kernel = await provenKernel();
    const called = await listening();
    const { client } = await connected(called);
    expect(kernel?.connection(client, called)).toMatchObject({ uid: process.geteuid?.() });
    kernel?.close();
    kernel?.close();
    expect(kernel?.connection(client, called)).toBe('unknown');
    expect(kernel?.at('tcp', called.port)).toBeUndefined();
  });

  it('leaves no file behind where its thread is ended', async () => {
    const netlinks = () => {
      const all = readFileSync('/proc/net/netlink', 'utf8').split('\n');
      const inodes = new Set(all.map((line) => line.trim().split(/ +/).at(-1) ?? ''));
      return [...ownSockets()].filter((inode) => inodes.has(inode)).length;
    };
    const before = netlinks();
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads');
      import(${JSON.stringify(new URL('./kernel-sockets.ts', import.meta.url).href)}).then(async ({ provenKernel }) => {
        globalThis.kept = [await provenKernel(), await provenKernel()];
        parentPort.postMessage(kept.every((one) => one !== undefined));
        setInterval(() => {}, 1_000);
      });`,
      { eval: true },
    );
    const [open] = (await once(worker, 'message')) as [boolean];
    expect(open).toBe(true);
    expect(netlinks()).toBe(before + 2);
    await worker.terminate();
    expect(netlinks()).toBe(before);
  });
});
