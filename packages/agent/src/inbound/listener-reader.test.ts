import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { provenKernel } from '../owner/kernel-sockets.ts';
import { until } from '../until.fixture.ts';
import { ListenerReader } from './listener-reader.ts';
import { readListenerTable } from './listener-table.ts';

const ending = new AbortController();
const servers: { close(): void }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const proven = await provenKernel();
const asked = proven !== undefined;
proven?.close();

async function listening(host: string): Promise<number> {
  const server = net.createServer().listen(0, host);
  servers.push(server);
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

/** Its port, and that of one that takes from a single place alone. */
async function takingDatagrams(): Promise<readonly [taking: number, connected: number]> {
  const [taking, connected] = [dgram.createSocket('udp4'), dgram.createSocket('udp4')];
  servers.push(taking, connected);
  await once(taking.bind(0, '127.0.0.3'), 'listening');
  connected.connect(taking.address().port, '127.0.0.3');
  await once(connected, 'connect');
  return [taking.address().port, connected.address().port];
}

/** Counts its looks at the files. */
function counted(native: boolean, broken: { now: boolean } = { now: false }) {
  let files = 0;
  const own = { port: 0 };
  const reader = new ListenerReader({
    own: () => (listener) => listener.port === own.port,
    native,
    signal: ending.signal,
    readFiles: (...all) => {
      files += 1;
      return readListenerTable(...all);
    },
    prove: async () => {
      const kernel = await provenKernel();
      return kernel && { takers: (of) => (broken.now ? undefined : kernel.takers(of)), close: () => kernel.close() };
    },
  });
  const read = async () => {
    const before = files;
    const table = await reader.read();
    return { table, byFiles: files > before };
  };
  return { own, read };
}

it.runIf(asked)('asks the kernel once that is proven, and is told as by the files', async () => {
  const broken = { now: false };
  const { own, read } = counted(true, broken);
  expect((await read()).byFiles).toBe(true);
  await until(async () => !(await read()).byFiles);
  const [four, six, every] = [await listening('127.0.0.3'), await listening('::1'), await listening('::')];
  const [taking, connected] = await takingDatagrams();
  const tellsAll = async (byFiles: boolean) => {
    const look = await read();
    expect(look.byFiles).toBe(byFiles);
    expect(look.table?.tables).toBe((await readListenerTable())?.tables);
    const seen = [four, six, every].map((port) =>
      ['127.0.0.3', '::1', '127.0.0.1'].map((host) => look.table?.answers('tcp', host, port)),
    );
    expect(seen).toEqual([
      [true, false, false],
      [false, true, false],
      [true, true, true],
    ]);
    expect(look.table?.answers('udp', '127.0.0.3', taking)).toBe(true);
    expect(look.table?.answers('udp', '127.0.0.1', connected)).toBe(false);
  };
  await tellsAll(false);
  // What is not to be relied on is read.
  broken.now = true;
  await tellsAll(true);
  broken.now = false;
  await tellsAll(false);
  own.port = four;
  expect((await read()).table?.answers('tcp', '127.0.0.3', four)).toBe(false);
  own.port = 0;
  for (const server of servers.splice(0)) server.close();
  await until(async () => (await read()).table?.answers('tcp', '127.0.0.3', four) === false);
  expect((await read()).byFiles).toBe(false);
});

it.runIf(process.platform === 'linux')('reads the files without node:ffi', async () => {
  const { read } = counted(false);
  for (let look = 0; look < 3; look++) expect((await read()).byFiles).toBe(true);
});
