import net, { type AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterEach, expect, it } from 'vitest';
import { UNKNOWN_OWNER } from '../words/owner.ts';
import { MOST_CALLERS, Owners } from './owners.ts';

const life: AbortController[] = [];
const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const each of life.splice(0)) each.abort();
  for (const step of cleanup.splice(0)) step();
});

function owners(program?: string, entry = `data:text/javascript,${encodeURIComponent(program ?? '')}`) {
  const end = new AbortController();
  life.push(end);
  const raised: string[] = [];
  const made = new Owners({
    problems: { raise: ({ code }) => raised.push(code), clear: () => {}, current: [] },
    log: pino({ level: 'silent' }),
    signal: end.signal,
    ...(program === undefined ? {} : { entry: new URL(entry) }),
  });
  return { made, raised, end };
}

const somebody = {
  protocol: 'tcp',
  client: { host: '127.0.0.1', port: 1 },
  called: { host: '127.0.0.1', port: 2 },
} as const;

it('tells who calls, by its thread', async () => {
  const server = net.createServer(() => {}).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const socket = net.connect(port, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  cleanup.push(
    () => void socket.destroy(),
    () => void server.close(),
  );
  const client = { host: '127.0.0.1', port: socket.localPort ?? 0 };
  const { made } = owners();
  made.follow([{ service: 'web', match: { user: `${process.getuid?.()}` }, targets: [] }]);
  const called = { host: '127.0.0.1', port };
  // The first may wait too long for the thread to begin.
  const find = () => made.find({ protocol: 'tcp', client, called });
  await expect.poll(find, { timeout: 20_000 }).toMatchObject({ service: 'web', pid: process.pid });
  const self = { pid: process.pid, service: 'web', by: 'match', hidden: false, elsewhere: false };
  expect(await made.look(process.pid)).toMatchObject(self);
  expect(await made.look(2 ** 31 - 1)).toBeUndefined();
  // What the file says now is what counts.
  made.follow([]);
  expect(await made.find({ protocol: 'tcp', client, called })).toMatchObject({ service: undefined, pid: process.pid });
});

it.each([
  ['ends', 'process.exit(1)'],
  ['fails', 'throw new Error("broken")'],
])('knows nobody where the thread %s, and says so', async (_, program) => {
  const { made, raised } = owners(program);
  const found = await Promise.all([made.find(somebody), made.find(somebody)]);
  expect(found).toEqual([UNKNOWN_OWNER, UNKNOWN_OWNER]);
  expect(raised).toContain('callers-unknown');
});

it('knows nobody where a thread cannot begin, and says so', async () => {
  // Refused by the constructor itself, as a thread too many is.
  const { made, raised } = owners('', 'https://nowhere.invalid/');
  expect(await made.find(somebody)).toEqual(UNKNOWN_OWNER);
  expect(raised).toContain('callers-unknown');
});

it('knows nobody who waits too long, nor more than wait at once', async () => {
  const { made, raised } = owners('setInterval(() => {}, 1_000)');
  const began = performance.now();
  const waiting = Array.from({ length: MOST_CALLERS }, () => made.find(somebody));
  expect(await made.find(somebody)).toEqual(UNKNOWN_OWNER);
  expect(performance.now() - began).toBeLessThan(1_900);
  expect(raised).toEqual(['callers-unknown']);
  expect(new Set(await Promise.all(waiting))).toEqual(new Set([UNKNOWN_OWNER]));
});

it('knows nobody once the agent ends', async () => {
  const { made, end } = owners('setInterval(() => {}, 1_000)');
  const asked = made.find(somebody);
  await new Promise((resolve) => setTimeout(resolve, 50));
  end.abort();
  expect(await asked).toEqual(UNKNOWN_OWNER);
  expect(await made.find(somebody)).toEqual(UNKNOWN_OWNER);
});
