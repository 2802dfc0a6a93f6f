import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CONTROL_RANGE, defined, type NetmapItem } from '@weft/proto';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { listenConduits } from '../../bytes/socket-listen.ts';
import type { ListenerSpec } from '../../outbound/listener-spec.ts';
import type { PacketWays, WorkerStart } from './messages.ts';
import { createPacketWays, ThreadSteering } from './packet-steering.ts';
import { type StuckWatch, THREAD_PROGRAM, WorkerHandle, type WorkerNews } from './worker-handle.ts';

const items: readonly NetmapItem[] = [
  {
    ...({ type: 'self', agentId: 'a1', network: 'prod', host: 'build-3', tags: [] } as const),
    ...{ address: CONTROL_RANGE.base + 3, services: [], roles: [], controlAddresses: [] },
  },
  { type: 'policy', defaultAction: 'allow', rules: [] },
];
const handles: WorkerHandle[] = [];
const steerings: ThreadSteering[] = [];
let news: WorkerNews[];
beforeEach(() => {
  news = [];
});
afterEach(async () => {
  await Promise.all(handles.splice(0).map((handle) => handle.stop('the test is over')));
  for (const steering of steerings.splice(0)) steering.close();
});

/** The main thread's end of the ports that a worker joins. */
async function sharedPort(): Promise<number> {
  const listener = await listenConduits({ host: '127.0.0.1', port: 0, share: 'first' }, (conduit) => conduit.reset());
  listeners.push(listener);
  return listener.port;
}
const listeners: { close(): void }[] = [];
afterEach(() => {
  for (const listener of listeners.splice(0)) listener.close();
});

function start(port: number, entry?: URL, program: string = THREAD_PROGRAM.id, watch?: StuckWatch): WorkerHandle {
  const [first, packets] = createPacketWays(2) as [PacketWays, PacketWays];
  steerings.push(new ThreadSteering(0, first));
  const begin: WorkerStart = {
    thread: 1,
    threads: 2,
    netmap: { position: { timeline: 't', index: 1, revision: 1 }, items },
    range: CONTROL_RANGE,
    services: new Map(),
    network: 'prod',
    controls: ['127.0.0.1:7400'],
    tunnelSecret: new Uint8Array(32).fill(1),
    tunnel: { host: '127.0.0.1', port },
    datagrams: true,
    limits: {},
    logLevel: 'silent',
    metrics: false,
    native: true,
    packets,
    program,
  };
  const handle = new WorkerHandle(begin, (message) => news.push(message), defined({ entry, watch }));
  handles.push(handle);
  return handle;
}

describe('a worker', () => {
  it('starts, enforces changes, tells its numbers and problems, and stops', async () => {
    const worker = start(await sharedPort());
    await worker.ready;
    const change = { timeline: 't', previous: 1, snapshot: false, upserts: [], removals: [] };
    await worker.update({ netmap: { ...change, index: 2, revision: 2 } });
    // An address that is none of this host: what binding says is told, once the bind was tried.
    const spec: ListenerSpec = { service: 'redis', ordinal: undefined, address: '192.0.2.1', port: 7, protocol: 'tcp' };
    await worker.update({ listeners: new Map([['redis', spec]]) });
    await worker.bound();
    expect(news).toContainEqual({
      type: 'problems',
      problems: [expect.objectContaining({ subject: 'redis:7/tcp' })],
    });
    await worker.update({ listeners: new Map([['redis', null]]) });
    await expect.poll(() => news).toContainEqual({ type: 'problems', problems: [] });
    await worker.ask('count');
    expect(worker.told.numbers).toMatchObject({ flows: 0, recorded: 0 });
    await Promise.all([worker.stop('the test is over'), worker.over]);
  });

  it('that is only asked whether it answers is behind with nothing', async () => {
    const watch = { lookMs: 1, stuckLooks: Number.POSITIVE_INFINITY };
    const worker = start(0, new URL('./leaving.fixture.ts', import.meta.url), undefined, watch);
    await worker.ready;
    for (let turn = 0; turn < 500; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      expect(worker.behind).toBe(false);
    }
    const told = worker.update({ answering: new Set() });
    expect(worker.behind).toBe(true);
    await told;
  });

  it('that cannot enforce a change is ended, and never says that it has enforced a later one', async () => {
    const worker = start(await sharedPort());
    await worker.ready;
    const broken = { type: 'policy', defaultAction: 'deny', rules: undefined } as unknown as NetmapItem;
    const change = { timeline: 't', previous: 1, index: 2, revision: 2, snapshot: false, removals: [] };
    const told = worker.update({ netmap: { ...change, upserts: [broken] } });
    const later = worker.update({ netmap: { ...change, previous: 2, index: 3, upserts: [] } });
    await expect(told).rejects.toThrow(/rules|undefined/);
    await expect(later).rejects.toThrow(/rules|undefined/);
    await expect(worker.failed).rejects.toThrow(/rules|undefined/);
    expect(worker.behind).toBe(true);
    await worker.gone;
  });

  it('that takes long to start is not taken for stuck by it, neither meanwhile nor once it has started', async () => {
    const lookMs = 50;
    // One second: half of what it takes to start, and far more than what it is left without an answer then.
    const watch = { lookMs, stuckLooks: 20 };
    const worker = start(0, new URL('./slow.fixture.ts', import.meta.url), undefined, watch);
    const enforced = worker.update({ answering: new Set() });
    enforced.catch(() => {});
    await worker.ready;
    // As long as it takes to be looked at.
    await sleep(3 * lookMs);
    await worker.ask('count');
    await enforced;
  });

  it('that cannot start says why', async () => {
    // Held by somebody who does not share it.
    const holder = await listenConduits({ host: '127.0.0.1', port: 0 }, (conduit) => conduit.reset());
    listeners.push(holder);
    const worker = start(holder.port);
    await expect(worker.ready).rejects.toThrow(/cannot listen for other agents at .*the port is taken/);
    await expect(worker.failed).rejects.toThrow('the port is taken');
  });

  it('that is of another program than what begins it refuses to, and says what to do', async () => {
    const worker = start(await sharedPort(), undefined, 'of yesterday');
    await expect(worker.ready).rejects.toThrow('it was replaced; restart the agent');
  });

  it('that was stopped takes no more', async () => {
    const worker = start(await sharedPort());
    await worker.ready;
    await worker.stop('the test is over');
    await expect(worker.update({ services: new Map() })).rejects.toThrow('the test is over');
  });

  it('that ends unasked is told, and what it was asked is never taken for enforced', async () => {
    const worker = start(0, new URL('./failing.fixture.ts', import.meta.url));
    await worker.ready;
    await expect(worker.update({ answering: new Set() })).rejects.toThrow('out of luck');
    await expect(worker.failed).rejects.toThrow('out of luck');
    // Nor does anybody wait for what is asked later.
    await expect(worker.update({ services: new Map() })).rejects.toThrow('out of luck');
    await worker.bound();
  });

  it.each([
    ['listens', []],
    ['is passed connections', ['passed']],
  ])('that %s and hangs in a system call is ended with its process', { timeout: 60_000 }, async (_, told) => {
    const { out, error, signal } = await hang(told);
    expect(signal).toBe('SIGKILL');
    expect(out).toContain('it has not answered for');
    expect(error).toContain('"event":"thread-hangs"');
  });

  // In good order, so that what was taken away there is acknowledged and an agent ends; or not, so that nobody was told.
  it.each([
    ['listens', ['over']],
    ['is passed connections', ['passed', 'over']],
    ['listens and fails', ['fails']],
    ['is passed connections and fails', ['passed', 'fails']],
  ])(
    'that %s may wait for a request in the thread pool, of which no connection has anything, for as long as that takes',
    { timeout: 60_000 },
    async (_, told) => {
      expect(await hang(told)).toMatchObject({ out: 'empty ended gone ', code: 0, signal: null });
    },
  );
});

async function hang(told: readonly string[]) {
  const directory = mkdtempSync(`${tmpdir()}/weft-hangs-`);
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const fifo = `${directory}/fifo`;
  execFileSync('mkfifo', [fifo]);
  const program = fileURLToPath(new URL('./hanging.fixture.ts', import.meta.url));
  const env = { ...process.env, HANGS_AT: fifo };
  const child = spawn(process.execPath, [program, ...told], { env, timeout: 50_000, killSignal: 'SIGABRT' });
  const [out, error, [code, signal]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { out, error, code, signal };
}
