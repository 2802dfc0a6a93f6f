import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { provenKernel } from '../owner/kernel-sockets.ts';
import { changed, repeating, withoutDatagrams } from '../owner/netlink.fixture.ts';
import { type Netlink, openNetlink } from '../owner/netlink-calls.ts';
import { until } from '../until.fixture.ts';
import { ListenerReader } from './listener-reader.ts';
import { readListenerTable } from './listener-table.ts';

const SOCK_DIAG = 4;
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

const TEN_MINUTES_MS = 600_000;

/** What the kernel does otherwise: `again`: tells of a socket so many times more; `waitsMs`: as seen by the reader's clock, with each part. */
interface Otherwise {
  again: number;
  waitsMs: number;
  noDatagrams: boolean;
  noFile: boolean;
}

/** Counts its looks at the files, and its proofs, by a clock of its own. */
function counted(native: boolean) {
  let files = 0;
  const seen = { proofs: 0 };
  const own = { port: 0 };
  const clock = { ms: 1_000 };
  const told: object[] = [];
  const log = { warn: (fields: object) => told.push(fields), info: (fields: object) => told.push(fields) };
  const kernel: Otherwise = { again: 0, waitsMs: 0, noDatagrams: false, noFile: false };
  const otherwise = (netlink: Netlink): Netlink => {
    const slowly = changed(netlink, (_, length) => {
      clock.ms += kernel.waitsMs;
      return length;
    });
    return repeating(
      withoutDatagrams(slowly, () => kernel.noDatagrams),
      () => kernel.again,
    );
  };
  const reader = new ListenerReader({
    own: () => (listener) => listener.port === own.port,
    native,
    log,
    signal: ending.signal,
    readFiles: (...all) => {
      files += 1;
      return readListenerTable(...all);
    },
    prove: async () => {
      seen.proofs += 1;
      return await provenKernel(() => {
        const netlink = kernel.noFile ? undefined : openNetlink(SOCK_DIAG);
        return netlink && otherwise(netlink);
      });
    },
    now: () => clock.ms,
  });
  const read = async () => {
    const before = files;
    const table = await reader.read();
    return { table, byFiles: files > before };
  };
  return { own, read, seen, clock, kernel, told };
}

it.runIf(asked)('asks the kernel once that is proven, and is told as by the files', async () => {
  const { own, read, seen, clock, kernel, told } = counted(true);
  // Looks at once prove one.
  expect((await Promise.all([read(), read(), read()])).every(({ byFiles }) => byFiles)).toBe(true);
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
  expect(seen.proofs).toBe(1);
  // What it does not answer in little time, or not to be relied on, is read from the files, and so it is for ten minutes.
  const causes = [
    [{ again: 2_000 }, 'many'],
    [{ waitsMs: 11 }, 'late'],
    [{ noDatagrams: true }, 'untold'],
  ] satisfies [Partial<Otherwise>, string][];
  for (const [at, [change, cause]] of causes.entries()) {
    expect(told.splice(0)).toEqual([]);
    const tells = () => expect(told).toEqual([{ event: 'listeners-by-files', cause }]);
    Object.assign(kernel, change);
    await tellsAll(true);
    tells();
    Object.assign(kernel, { again: 0, waitsMs: 0, noDatagrams: false });
    await tellsAll(true);
    clock.ms += TEN_MINUTES_MS - 1;
    await tellsAll(true);
    expect(seen.proofs).toBe(1 + at);
    tells();
    clock.ms += 1;
    await tellsAll(true);
    await until(async () => !(await read()).byFiles);
    await tellsAll(false);
    expect(seen.proofs).toBe(2 + at);
    expect(told.splice(1)).toEqual([{ event: 'listeners-by-kernel' }]);
    expect(told.splice(0)).toHaveLength(1);
  }
  own.port = four;
  expect((await read()).table?.answers('tcp', '127.0.0.3', four)).toBe(false);
  own.port = 0;
  for (const server of servers.splice(0)) server.close();
  await until(async () => (await read()).table?.answers('tcp', '127.0.0.3', four) === false);
  expect((await read()).byFiles).toBe(false);
});

it.runIf(asked)('tries the proof again where it failed, each ten minutes', async () => {
  const { read, seen, clock, kernel, told } = counted(true);
  kernel.noFile = true;
  for (let look = 0; look < 3; look++) expect((await read()).byFiles).toBe(true);
  expect(seen.proofs).toBe(1);
  const unproven = [{ event: 'listeners-by-files', cause: 'unproven' }];
  await until(() => told.length > 0);
  clock.ms += TEN_MINUTES_MS;
  expect((await read()).byFiles).toBe(true);
  expect([seen.proofs, told]).toEqual([2, unproven]);
  kernel.noFile = false;
  clock.ms += TEN_MINUTES_MS - 1;
  expect((await read()).byFiles).toBe(true);
  expect(seen.proofs).toBe(2);
  clock.ms += 1;
  expect((await read()).byFiles).toBe(true);
  await until(async () => !(await read()).byFiles);
  expect([seen.proofs, told]).toEqual([3, [...unproven, { event: 'listeners-by-kernel' }]]);
});

it.runIf(process.platform === 'linux')('reads the files without node:ffi', async () => {
  const { read, told } = counted(false);
  for (let look = 0; look < 3; look++) expect((await read()).byFiles).toBe(true);
  expect(told).toEqual([]);
});
