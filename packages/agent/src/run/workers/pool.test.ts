import { CONTROL_RANGE, type NetmapItem } from '@weft/proto';
import { afterEach, expect, it } from 'vitest';
import { FlowRecorder } from '../../flows/recorder.ts';
import { FlowTraffic } from '../../flows/traffic.ts';
import { NetmapStore } from '../../netmap/store.ts';
import { ProblemBoard, ProblemSources } from '../../observe/problems.ts';
import { ENFORCEMENT } from '../enforce.ts';
import { createPacketWays } from './packet-steering.ts';
import { WorkerPool } from './pool.ts';

const policy: NetmapItem = { type: 'policy', defaultAction: 'allow', rules: [] };
const started: WorkerPool[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((pool) => pool.stop('the test is over')));
});

function start(entry: string): { store: NetmapStore; pool: WorkerPool } {
  const store = new NetmapStore(CONTROL_RANGE, undefined, 0, ENFORCEMENT);
  const pool = new WorkerPool({
    packetWays: createPacketWays(3),
    store,
    common: {
      range: CONTROL_RANGE,
      services: new Map(),
      network: 'prod',
      controls: ['127.0.0.1:7400'],
      tunnelSecret: new Uint8Array(32).fill(1),
      tunnel: { host: '127.0.0.1', port: 0 },
      datagrams: false,
      limits: {},
      logLevel: 'silent',
      metrics: true,
      native: true,
    },
    recorder: new FlowRecorder(),
    traffic: new FlowTraffic(),
    problems: new ProblemSources(new ProblemBoard({ warn: () => {}, info: () => {} })),
    entry: new URL(entry, import.meta.url),
  });
  started.push(pool);
  return { store, pool };
}

const change = { timeline: 't', previous: 0, index: 1, revision: 1, snapshot: true, upserts: [policy], removals: [] };

it('says that a change is enforced when every worker has enforced it', async () => {
  const { store, pool } = start('./entry.ts');
  await pool.ready();
  const applied = store.apply(change, false);
  expect(applied).toMatchObject({ applied: true, elsewhere: expect.any(Promise) });
  if (applied.applied) await applied.elsewhere;
  await store.clear().elsewhere;
  await pool.settled();
  await pool.count();
  expect(pool.numbers).toMatchObject([{ flows: 0 }, { flows: 0 }]);
  expect(await pool.pulses()).toEqual([
    { peers: [], loopDelayUs: expect.any(Number) },
    { peers: [], loopDelayUs: expect.any(Number) },
  ]);
  expect(await pool.measures()).toMatchObject([
    { thread: 1, flows: 0, series: [] },
    { thread: 2, flows: 0, series: [] },
  ]);
});

it('leaves no thread out of what it measures, however late the first answer of it is', async () => {
  // Nobody waits until they are ready: both are still loading.
  const { pool } = start('./entry.ts');
  expect(await pool.measures()).toMatchObject([{ thread: 1 }, { thread: 2 }]);
});

it('takes a change that comes while it stops for enforced once the workers are gone', async () => {
  const { store, pool } = start('./holding.fixture.ts');
  await pool.ready();
  const applied = store.apply({ ...change, upserts: [] }, false);
  await Promise.all([applied.applied ? applied.elsewhere : undefined, pool.stop('the agent stops')]);
  expect(applied).toMatchObject({ applied: true, elsewhere: expect.any(Promise) });
});

it('ends the agent when a worker ends unasked, and never says that it enforced', async () => {
  const { store, pool } = start('./failing.fixture.ts');
  await pool.ready();
  const applied = store.apply(change, false);
  expect(applied.applied).toBe(true);
  if (applied.applied) await expect(applied.elsewhere).rejects.toThrow('out of luck');
  await expect(pool.failed).rejects.toMatchObject({
    code: 'worker-failed',
    message: expect.stringMatching(/^worker [12] of this agent ended: out of luck; the agent stops/),
  });
});
