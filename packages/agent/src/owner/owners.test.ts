import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, expect, it } from 'vitest';
import { type Owner, UNKNOWN_OWNER } from '../words/owner.ts';
import { WAYS } from './finders.fixture.ts';
import { provenKernel } from './kernel-sockets.ts';
import { MOST_CALLERS, Owners } from './owners.ts';

const life: AbortController[] = [];
const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const each of life.splice(0)) each.abort();
  for (const step of cleanup.splice(0)) step();
});

interface Made {
  /** That the thread runs instead. */
  readonly program?: string;
  readonly entry?: string;
  readonly native?: boolean;
  /** Of what build it is begun by. */
  readonly build?: string;
  readonly waitMs?: number;
  /** It fails so many times. */
  readonly unproven?: number;
}

function owners(of: Made = {}) {
  const {
    program,
    entry = program && dataUrl(program),
    native = entry === undefined,
    build,
    waitMs,
    unproven = 0,
  } = of;
  const end = new AbortController();
  life.push(end);
  const raised: string[] = [];
  const standing = new Map<string, string>();
  const told: string[] = [];
  let proofs = 0;
  const made = new Owners({
    problems: {
      raise: ({ code, subject, message }) => {
        raised.push(code);
        standing.set(`${code} ${subject}`, message);
      },
      clear: (code, subject) => standing.delete(`${code} ${subject}`),
      current: [],
    },
    log: pino(
      { level: 'info' },
      { write: (line) => told.push((JSON.parse(line) as { readonly event: string }).event) },
    ),
    prove: async () => (proofs++ < unproven ? undefined : await provenKernel()),
    proveAgainMs: 0,
    signal: end.signal,
    native,
    files: { limit: Number.POSITIVE_INFINITY, spare: true },
    ...(waitMs === undefined ? {} : { waitMs }),
    ...(entry === undefined ? {} : { entry: new URL(entry) }),
    ...(build === undefined ? {} : { program: build }),
  });
  return { made, raised, standing, told, end };
}

function dataUrl(program: string): string {
  return `data:text/javascript,${encodeURIComponent(program)}`;
}

const somebody = {
  protocol: 'tcp',
  client: { host: '127.0.0.1', port: 1 },
  called: { host: '127.0.0.1', port: 2 },
} as const;

/** Ends of a connection of this process with itself. */
async function ownCall() {
  const server = net.createServer(() => {}).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const socket = net.connect(port, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  cleanup.push(
    () => void socket.destroy(),
    () => void server.close(),
  );
  const host = '127.0.0.1';
  return { client: { host, port: socket.localPort ?? 0 }, called: { host, port } };
}

it.each([true, false])('tells who calls, by its thread; what reaches under Node is wanted: %s', async (native) => {
  const { client, called } = await ownCall();
  const { made } = owners({ native });
  made.follow([{ service: 'web', match: { user: `${process.getuid?.()}` }, targets: [] }]);
  // The first may wait too long for the thread to begin.
  const find = () => made.find({ protocol: 'tcp', client, called });
  await expect.poll(find, { timeout: 20_000 }).toMatchObject({ service: 'web' });
  if (native && WAYS.includes('a first look')) {
    // From then on at once, and the thread is asked what its socket does not tell.
    await expect.poll(find, { timeout: 20_000 }).toMatchObject({ service: 'web', program: process.execPath });
    expect(made.find({ protocol: 'tcp', client, called })).toMatchObject({ service: 'web', user: expect.any(String) });
    expect(made.find({ protocol: 'tcp', client: { ...client, port: 1 }, called })).toEqual(UNKNOWN_OWNER);
    made.follow([{ service: 'web', match: { command: process.execPath }, targets: [] }]);
    expect(find()).toBeInstanceOf(Promise);
    await expect.poll(find, { timeout: 20_000 }).toMatchObject({ service: 'web', pid: process.pid });
  }
  const self = { pid: process.pid, service: 'web', by: 'match', hidden: false, elsewhere: false };
  expect(await made.look(process.pid)).toMatchObject(self);
  expect(await made.look(2 ** 31 - 1)).toBeUndefined();
  // However many ask at once, each is answered, also of one process.
  const many = await Promise.all(
    Array.from({ length: 20 }, (_, at) => made.look(at < 10 ? process.pid : process.ppid)),
  );
  expect(many.map((found) => typeof found === 'object' && found.pid)).toEqual(
    many.map((_, at) => (at < 10 ? process.pid : process.ppid)),
  );
  // What the file says now is what counts.
  made.follow([]);
  expect(await made.find({ protocol: 'tcp', client, called })).toMatchObject({
    service: undefined,
    user: expect.stringMatching(/./),
  });
});

it.each([
  ['ends', 'process.exit(1)'],
  ['fails', 'throw new Error("broken")'],
])('knows nobody where the thread %s, and says so', async (_, program) => {
  const { made, raised } = owners({ program });
  const found = await Promise.all([made.find(somebody), made.find(somebody)]);
  expect(found).toEqual([UNKNOWN_OWNER, UNKNOWN_OWNER]);
  expect(raised).toContain('callers-unknown');
});

it.runIf(WAYS.includes('a first look')).each([
  ['ends', 'process.exit(1)'],
  ['does not answer', 'setInterval(() => {}, 1000)'],
])('waits for no thread that %s where the socket decides', async (_, program) => {
  const { client, called } = await ownCall();
  const { made } = owners({ program, native: true });
  made.follow([{ service: 'web', match: { user: `${process.getuid?.()}` }, targets: [] }]);
  const find = () => made.find({ protocol: 'tcp', client, called });
  // Once this thread is proven to come to the kernel itself.
  await expect.poll(() => find() instanceof Promise, { timeout: 20_000 }).toBe(false);
  const found = find() as Owner;
  expect(found).toMatchObject({ service: 'web', pid: undefined });
  await found.naming;
  expect(found).toMatchObject({ service: 'web', pid: undefined, naming: undefined });
});

it.runIf(WAYS.includes('a first look'))('proves the kernel again where that failed, and says so once', async () => {
  const { client, called } = await ownCall();
  const { made, told } = owners({ program: 'setInterval(() => {}, 1_000)', native: true, unproven: 2 });
  made.follow([{ service: 'web', match: { user: `${process.getuid?.()}` }, targets: [] }]);
  const find = () => made.find({ protocol: 'tcp', client, called });
  await expect.poll(() => find() instanceof Promise, { timeout: 20_000 }).toBe(false);
  expect(told).toEqual(['callers-by-thread', 'callers-by-kernel']);
});

it('knows nobody where the thread is of another program than what begins it, and says to restart', async () => {
  const { made, standing } = owners({ native: false, build: 'of yesterday' });
  expect(await made.find(somebody)).toEqual(UNKNOWN_OWNER);
  await expect.poll(() => standing.get('callers-unknown program')).toContain('it was replaced; restart the agent');
});

it('knows nobody where a thread cannot begin, and says so', async () => {
  // Refused by the constructor itself, as a thread too many is.
  const { made, raised } = owners({ entry: 'https://nowhere.invalid/' });
  expect(await made.find(somebody)).toEqual(UNKNOWN_OWNER);
  expect(raised).toContain('callers-unknown');
});

it('knows nobody who waits too long, nor more than wait at once', async () => {
  const { made, raised } = owners({ program: 'setInterval(() => {}, 1_000)' });
  const began = performance.now();
  const waiting = Array.from({ length: MOST_CALLERS }, () => made.find(somebody));
  expect(await made.find(somebody)).toEqual(UNKNOWN_OWNER);
  expect(performance.now() - began).toBeLessThan(1_900);
  expect(raised).toEqual(['callers-unknown']);
  expect(new Set(await Promise.all(waiting))).toEqual(new Set([UNKNOWN_OWNER]));
});

it('takes an answer that came in time, however long this thread was held up', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-owners-'));
  cleanup.push(() => rmSync(directory, { recursive: true }));
  // Nobody is answered while there is the one; then it makes the other.
  const [wait, file] = [join(directory, 'wait'), join(directory, 'answered')];
  const program = `
    import { existsSync, writeFileSync } from 'node:fs';
    import { parentPort } from 'node:worker_threads';
    const [wait, file] = ${JSON.stringify([wait, file])};
    parentPort.on('message', ({ callers: [[number]] }) => {
      const waited = existsSync(wait);
      while (existsSync(wait));
      parentPort.postMessage({ owners: [[number, { service: 'web' }]], next: true, unlooked: [] });
      if (waited) writeFileSync(file, '');
    });
  `;
  const { made } = owners({ program, waitMs: 500 });
  await expect.poll(() => made.find(somebody), { timeout: 20_000 }).toEqual({ service: 'web' });
  writeFileSync(wait, '');
  const begun = performance.now();
  const found = made.find(somebody);
  // Gathered with others for a moment, where calls come fast; then behind a turn's answers, and before the next one's timers.
  await new Promise((resolve) => setTimeout(resolve, 20));
  await new Promise((resolve) => setImmediate(resolve));
  rmSync(wait);
  const still = new Int32Array(new SharedArrayBuffer(4));
  const isHeldUp = (tookMs: number) => tookMs < 600 || (!existsSync(file) && tookMs < 20_000);
  while (isHeldUp(performance.now() - begun)) Atomics.wait(still, 0, 0, 20);
  expect(await found).toEqual({ service: 'web' });
});

it('tells of users of whom not all could be looked at who may serve', async () => {
  const program = `
    import { parentPort } from 'node:worker_threads';
    parentPort.on('message', ({ callers: [[number]] }) => {
      parentPort.postMessage({ owners: [[number, { service: 'web' }]], next: true, unlooked: ['bob', 'alice'] });
    });
  `;
  const { made, standing } = owners({ program });
  expect(await made.find(somebody)).toEqual({ service: 'web' });
  expect(standing.get('callers-unknown files')).toMatch(/^programs of alice, bob have more files open than .*match/);
});

it('knows nobody once the agent ends', async () => {
  const { made, end } = owners({ program: 'setInterval(() => {}, 1_000)' });
  const asked = made.find(somebody);
  await new Promise((resolve) => setTimeout(resolve, 50));
  end.abort();
  expect(await asked).toEqual(UNKNOWN_OWNER);
  expect(await made.find(somebody)).toEqual(UNKNOWN_OWNER);
});
