/** A second thread beside bulk, and what stands against it for a while: programs in sandboxes that are called, and files that are wanted. */

import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { CONTROL_RANGE, type NetmapItem, type PortRange } from '@weft/proto';
import pino from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { acceptHandles } from '../../bytes/inside/handle-connections.ts';
import { FlowRecorder } from '../../flows/recorder.ts';
import { FlowTraffic } from '../../flows/traffic.ts';
import { NetmapStore } from '../../netmap/store.ts';
import { ProblemBoard, ProblemSources } from '../../observe/problems.ts';
import { InsidePrograms, type Serving } from '../../sandbox/inside.ts';
import { ENFORCEMENT } from '../enforce.ts';
import type { SecondThreadTimes } from '../options.ts';
import { WorkerPool } from './pool.ts';
import { SecondThread } from './second-thread.ts';

const POLL = { timeout: 30_000 };

function shutIn(ports: readonly PortRange[]): Serving {
  const reported = { service: 'web', user: 'web', pid: 1, unit: '', sinceMs: 0, ports, egress: false };
  const sockets = { ask: () => Promise.reject(new Error('nobody asks')) };
  return { service: 'web', sockets, calls: new Set(), opened: [], reported, placeOf: () => undefined };
}

function open(entry?: URL, times: Partial<SecondThreadTimes> = {}) {
  const directory = mkdtempSync(`${tmpdir()}/weft-second-`);
  const position = { timeline: 't', index: 1, revision: 1 };
  const store = new NetmapStore(CONTROL_RANGE, { position, items: [] }, 0, ENFORCEMENT);
  const pool = new WorkerPool({
    packetWays: undefined,
    store,
    common: {
      ...{ range: CONTROL_RANGE, network: 'prod', controls: ['127.0.0.1:7400'], limits: {}, logLevel: 'silent' },
      ...{ services: new Map(), tunnelSecret: new Uint8Array(32).fill(1), tunnel: { host: '127.0.0.1', port: 1 } },
      ...{ datagrams: true, metrics: false, native: true },
    },
    recorder: new FlowRecorder(),
    traffic: new FlowTraffic(),
    problems: new ProblemSources(new ProblemBoard({ warn: () => {}, info: () => {} })),
    ...(entry === undefined ? {} : { entry }),
  });
  const life = new AbortController();
  const inside = new InsidePrograms();
  const second = new SecondThread({
    directory,
    sandboxes: () => inside.called,
    log: pino({ level: 'silent' }),
    signal: life.signal,
    times: { again: 50, ...times },
  });
  inside.onChange(() => second.look());
  const seen = { left: 0 };
  const leave = () => {
    seen.left += 1;
  };
  const bulk = { flows: 1 };
  const files = { spares: () => true, spare: true };
  second.follow({ pool, tunnels: { leave }, files, bulk });
  onTestFinished(async () => {
    life.abort();
    await pool.stop('the test is over');
    rmSync(directory, { recursive: true });
  });
  return { second, pool, store, inside, bulk, files, seen };
}

test('begins when files are spared and no program in a sandbox is called, whose end brings it back, with one leaving of the first thread’s tunnels', async () => {
  const { second, inside, files, seen, bulk } = open();
  const [caller, called] = [shutIn([]), shutIn([{ protocol: 'tcp', first: 3000, last: 3000 }])];
  const shut = { cause: expect.stringContaining('a program in a sandbox is called') };
  files.spare = false;
  inside.enter(called);
  expect(second.status).toEqual({ state: 'off', ...shut });
  inside.leave(called);
  expect(second.status).toEqual({ state: 'off', cause: '' });
  // One that calls and is not called is no reason.
  inside.enter(caller);
  // Nobody tells that there are files again, while bulk goes on.
  files.spare = true;
  await expect.poll(() => second.status, POLL).toEqual({ state: 'on', cause: '' });
  expect(seen.left).toBe(1);
  // Bulk that comes and goes has peers dial anew no more often.
  for (let times = 0; times < 20; times++) {
    bulk.flows = 1 - bulk.flows;
    second.look();
  }
  expect(seen.left).toBe(1);
  inside.enter(called);
  expect(second.status).toEqual({ state: 'leaving', ...shut });
  inside.leave(called);
  // Peers have left its tunnels, and dial anew no more often than for bulk.
  expect(second.status).toEqual({ state: 'leaving', cause: '' });
  expect(seen.left).toBe(1);
});

test('a program in a sandbox that is called is over, and a while later connections go to the second thread again', async () => {
  // One that leaves then, and one that has ended meanwhile.
  for (const times of [{ calm: 50 }, { calm: 2_500, settle: 0, leave: 0 }]) {
    const { second, inside } = open(undefined, times);
    const called = shutIn([{ protocol: 'tcp', first: 3000, last: 3000 }]);
    second.look();
    await expect.poll(() => second.status.state, POLL).toBe('on');
    inside.enter(called);
    inside.leave(called);
    expect(second.status.state).toBe('leaving');
    if (times.settle === 0) await expect.poll(() => second.status.state, POLL).toBe('off');
    await expect.poll(() => second.status, POLL).toEqual({ state: 'on', cause: '' });
  }
});

test('a thread of a program that was replaced on the disk is not tried again, and that is told to the end', async () => {
  const { second, bulk } = open(new URL('./replaced.fixture.ts', import.meta.url));
  second.look();
  const replaced = { state: 'off', cause: expect.stringContaining('it was replaced; restart the agent') };
  await expect.poll(() => second.status, POLL).toEqual(replaced);
  for (const flows of [0, 1]) {
    bulk.flows = flows;
    second.look();
    expect(second.status).toEqual(replaced);
  }
});

test('a start that goes wrong is over in time and tried again, and is told of no longer than bulk moves', async () => {
  const { second, bulk } = open(new URL('./failing.fixture.ts', import.meta.url), { start: 200 });
  second.look();
  const cause = () => second.status.cause;
  await expect.poll(cause, POLL).toBe('the other thread did not come within 0.2 s');
  await expect.poll(() => second.status.state, POLL).toBe('starting');
  await expect.poll(() => second.status.state, POLL).toBe('off');
  bulk.flows = 0;
  await expect.poll(() => second.status, POLL).toEqual({ state: 'off', cause: '' });
});

/** Calls by a listener of that service, and answers which thread it was that took the connection, and what the caller has of it. */
async function listen({ second }: ReturnType<typeof open>, service: string, port: number) {
  const spec = { service, ordinal: undefined, address: '127.0.0.1', port, protocol: 'tcp' } as const;
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const elsewhere = second.beside.calls?.(spec);
  if (elsewhere === undefined) throw new Error('connections do not go anywhere');
  return async () => {
    const where = Promise.withResolvers<'here' | 'there'>();
    const take: typeof elsewhere.take = (handle, back) => {
      const taken = elsewhere.take(handle, back);
      if (taken) where.resolve('there');
      return taken;
    };
    acceptHandles(
      server,
      (transport) => {
        where.resolve('here');
        transport.destroy();
      },
      { gate: elsewhere.gate, take },
    );
    const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1').on('error', () => {});
    onTestFinished(() => void socket.destroy());
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()).resume());
    return { where: await where.promise, closed, from: socket.localPort ?? 0 };
  };
}

/** Whether anybody still has the agent's end of a connection from that port, as the kernel tells. */
function isHeld(from: number): boolean {
  const remote = from.toString(16).toUpperCase().padStart(4, '0');
  const lines = readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/ +/));
  // Of what nobody has the inode is none.
  return lines.some(({ 2: far = '', 9: inode = '0' }) => far.endsWith(`:${remote}`) && inode !== '0');
}

const change = { timeline: 't', previous: 1, index: 2, revision: 2, snapshot: false, upserts: [], removals: [] };
const NEWS: NetmapItem = { type: 'policy', defaultAction: 'deny', rules: [] };

test('a connection goes there once the thread knows its listener; a thread that ends unasked is told of and tried again, and the agent goes on', async () => {
  const opened = open(new URL('./holding.fixture.ts', import.meta.url), { again: 1_000 });
  const { second, pool, store } = opened;
  second.look();
  await expect.poll(() => second.status.state, POLL).toBe('on');
  const to = async (port: number) => {
    const call = await listen(opened, 'web', port);
    return async () => (await call()).where;
  };
  const known = await to(1);
  expect(await known()).toBe('there');
  // Not enforced there before it is counted.
  store.apply(change, false);
  const appeared = await to(2);
  expect(await appeared()).toBe('here');
  expect(await known()).toBe('there');
  await pool.count();
  await expect.poll(appeared, POLL).toBe('there');

  // Nothing is unenforced in a thread that is gone.
  await pool.services(new Map());
  await expect.poll(() => second.status.cause, POLL).toBe('it ended: out of luck');
  await expect.poll(() => second.status, POLL).toEqual({ state: 'on', cause: '' });
  expect(await known()).toBe('there');
});

test('a thread that cannot enforce a change is passed nothing more, and the change is acknowledged once all that it carried is', async () => {
  const opened = open(new URL('./holding.fixture.ts', import.meta.url), { again: 60_000 });
  const { second, pool, store } = opened;
  second.look();
  await expect.poll(() => second.status.state, POLL).toBe('on');
  const call = await listen(opened, 'kept', 1);
  const before = await call();
  expect(before.where).toBe('there');
  const enforced = store.apply({ ...change, upserts: [NEWS] }, false);
  if (enforced.applied) await enforced.elsewhere;
  await before.closed;
  expect((await call()).where).toBe('here');
  await expect.poll(() => second.status.cause, POLL).toBe('it ended: out of order');
  await pool.services(new Map());
  expect(pool.numbers).toEqual([]);
});

test('a thread that hangs is passed nothing, and what is taken away is not acknowledged before it has let go of all', async () => {
  const hanging = (look: number) => {
    const opened = open(new URL('./holding.fixture.ts', import.meta.url), { again: 60_000, look });
    opened.second.look();
    return opened;
  };
  const hang = ({ store }: ReturnType<typeof open>) => {
    const applied = store.apply({ ...change, removals: ['service/web'] }, false);
    return applied.applied ? applied.elsewhere : Promise.reject(new Error(applied.gap));
  };
  // One that nobody looks at, and one that is looked at often.
  const [unseen, seen] = [hanging(3_600_000), hanging(200)];
  for (const { second } of [unseen, seen]) await expect.poll(() => second.status.state, POLL).toBe('on');
  const [callUnseen, callSeen] = [await listen(unseen, 'kept', 1), await listen(seen, 'kept', 1)];
  const before = [await callUnseen(), await callSeen()];
  expect(before.map(({ where }) => where)).toEqual(['there', 'there']);

  let acknowledged: boolean = false;
  void hang(unseen)?.then(() => {
    acknowledged = true;
  });
  await expect.poll(async () => (await callUnseen()).where, POLL).toBe('here');
  expect([unseen.second.status.state, acknowledged]).toEqual(['on', false]);

  // At the acknowledgement it has no connection any more.
  const held = () => before.map(({ from }) => isHeld(from));
  expect(held()).toEqual([true, true]);
  await hang(seen)?.then(() => expect(held()).toEqual([true, false]));
  await before[1]?.closed;
  await expect.poll(() => seen.second.status.cause, POLL).toMatch(/^it ended: it has not answered for [1-9]/);
  expect((await callSeen()).where).toBe('here');
});
