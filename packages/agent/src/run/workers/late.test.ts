/** A worker that begins beside others at work: what comes while it starts, whom it waits for, and what is left of it. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { CONTROL_RANGE, formatAddress, type NetmapDelta, type NetmapItem } from '@weft/proto';
import { expect, onTestFinished, test } from 'vitest';
import { acceptHandles } from '../../bytes/inside/handle-connections.ts';
import { sendSockets } from '../../bytes/inside/pass-sockets.ts';
import { FlowRecorder } from '../../flows/recorder.ts';
import { FlowTraffic } from '../../flows/traffic.ts';
import { NetmapStore } from '../../netmap/store.ts';
import { ProblemBoard, ProblemSources } from '../../observe/problems.ts';
import { newCounters } from '../../tunnel/context.ts';
import { type Owner, UNKNOWN_OWNER } from '../../words/owner.ts';
import { ENFORCEMENT } from '../enforce.ts';
import { textOf } from './passed-specs.ts';
import { PastThreads } from './past.ts';
import { WorkerPool } from './pool.ts';

const PORT = 6379;
const service = (name: string, at: number): NetmapItem => ({
  type: 'service',
  service: { name, kind: 'private', ports: [{ protocol: 'tcp', first: PORT, last: PORT }], tags: [] },
  address: CONTROL_RANGE.base + at,
});
const items: readonly NetmapItem[] = [
  {
    ...({ type: 'self', agentId: 'a1', network: 'prod', host: 'build-3', tags: [] } as const),
    ...{ address: CONTROL_RANGE.base + 3, services: ['web', 'mailer'], roles: [], controlAddresses: [] },
  },
  ...[service('redis', 7), service('web', 8), service('mailer', 9)],
  { type: 'policy', defaultAction: 'allow', rules: [] },
];
const DENY: NetmapItem = {
  type: 'policy',
  defaultAction: 'allow',
  rules: [{ name: 'no-mailer', action: 'deny', from: ['mailer'], to: ['redis'], ports: [] }],
};
const shut = { timeline: 't', previous: 1, index: 2, revision: 2, snapshot: false, upserts: [DENY], removals: [] };
const spec = {
  service: 'redis',
  ordinal: undefined,
  address: formatAddress(CONTROL_RANGE.base + 7),
  port: PORT,
  protocol: 'tcp',
} as const;

async function open(find: () => Owner, entry?: URL, withinMs = 60_000) {
  const directory = mkdtempSync(`${tmpdir()}/weft-late-`);
  const sender = await sendSockets(directory, withinMs);
  const position = { timeline: 't', index: 1, revision: 1 };
  const store = new NetmapStore(CONTROL_RANGE, { position, items }, 0, ENFORCEMENT);
  const recorder = new FlowRecorder();
  const pool = new WorkerPool({
    packetWays: undefined,
    store,
    common: {
      ...{ range: CONTROL_RANGE, network: 'prod', controls: ['127.0.0.1:7400'], limits: {}, logLevel: 'silent' },
      services: new Map(['web', 'mailer'].map((name) => [name, { name, targets: [] }])),
      ...{ tunnelSecret: new Uint8Array(32).fill(1), tunnel: { host: '127.0.0.1', port: 1 }, datagrams: false },
      ...{ metrics: true, native: true },
    },
    recorder,
    traffic: new FlowTraffic(),
    problems: new ProblemSources(new ProblemBoard({ warn: () => {}, info: () => {} })),
    find: () => Promise.resolve(find()),
    ...(entry === undefined ? {} : { entry }),
  });
  onTestFinished(async () => {
    sender.close();
    await pool.stop('the test is over');
    rmSync(directory, { recursive: true });
  });
  return { store, pool, sender, recorder };
}

test('what is taken away while it starts is enforced before it carries anything, and nobody waits for it before', async () => {
  let owner: Owner = { ...UNKNOWN_OWNER, service: 'mailer', user: 'mail' };
  const { store, pool, sender, recorder } = await open(() => owner);
  let begun = false;
  const added = pool.add(sender.way, sender.joined).finally(() => {
    begun = true;
  });
  const applied = store.apply(shut, false);
  if (applied.applied) await applied.elsewhere;
  expect(begun).toBe(false);
  const handle = await added;

  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  acceptHandles(server, (transport) => transport.destroy(), {
    gate: { open: true },
    take: (accepted, back) => sender.pass(accepted, textOf(spec), back),
  });
  const call = async () => {
    const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
    await new Promise((resolve) => socket.on('error', () => {}).on('close', resolve));
  };
  const outcomes = () =>
    recorder.recent().map(({ source, outcome, rule, revision }) => [source, outcome, rule, revision]);
  await call();
  await expect.poll(outcomes).toEqual([['mailer', 'denied', 'no-mailer', 2]]);
  // Its process is looked for still, and its record waits for that.
  const naming = Promise.withResolvers<void>();
  owner = { ...owner, service: 'web', naming: naming.promise };
  await call();
  Object.assign(owner, { pid: 7, program: '/bin/who', unit: 'who.service', naming: undefined });
  naming.resolve();
  await expect.poll(outcomes).toContainEqual(['web', 'no-instance', 'default', 2]);
  expect(recorder.recent()).toContainEqual(
    expect.objectContaining({ source: 'web', program: '/bin/who', unit: 'who.service' }),
  );

  // From now on whoever waits for an acknowledgement waits for it too; what it counted stays when it ends.
  await pool.services(new Map());
  expect(await pool.measures()).toMatchObject([{ thread: 1 }]);
  const opened = async () =>
    (await pool.measures()).flatMap(({ series }) => series.map((each) => each.opened + each.denied));
  const before = await opened();
  let removed = false;
  const removing = pool.remove(handle).finally(() => {
    removed = true;
  });
  // As a scrape meanwhile: what was counted is there at each moment, and once.
  while (!removed) {
    expect(await opened()).toEqual(before);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await removing;
  expect(await opened()).toEqual(before);
  expect(pool.numbers).toEqual([]);
  await expect(handle.openFlows({ filter: {}, most: 1 })).resolves.toEqual({ flows: [], omitted: 0 });
  expect(await pool.measures()).toMatchObject([
    { thread: 1, flows: 0, series: [expect.objectContaining({ denied: 1 }), expect.anything()] },
  ]);
  await pool.services(new Map());
});

test('a drain that begins while it starts is its own too', async () => {
  const { pool } = await open(() => UNKNOWN_OWNER, new URL('./leaving.fixture.ts', import.meta.url));
  const added = pool.add({} as never, Promise.resolve());
  pool.leave(true);
  await added;
  await pool.count();
  await expect.poll(() => pool.numbers).toMatchObject([{ flows: 1 }]);
});

test('what was moved with a host that is no peer any more is in the sums alone', () => {
  const past = new PastThreads();
  const peer = { tunnels: 1, roundTripUs: 9, bytesSent: 5, bytesReceived: 5, pathSize: 0 };
  past.add(
    { ...newCounters(), bytesSent: 10 },
    [
      { ...peer, host: 'here' },
      { ...peer, host: 'gone' },
    ],
    undefined,
  );
  past.keep([{ host: 'here' }]);
  expect(past.peers).toMatchObject([{ host: 'here', tunnels: 0, bytesSent: 5 }]);
  expect(past.tunnel).toMatchObject({ bytesSent: 10 });
});

test('neither one that cannot begin nor one that ends unasked later is a failure of the agent', async () => {
  const failing = await open(() => UNKNOWN_OWNER, new URL('./failing.fixture.ts', import.meta.url));
  await expect(failing.pool.add(failing.sender.way, Promise.resolve())).rejects.toThrow('out of luck');
  const applied = failing.store.apply(shut, false);
  if (applied.applied) await applied.elsewhere;

  // It says that it is ready, and has not come.
  const aside = await open(() => UNKNOWN_OWNER, new URL('./failing-later.fixture.ts', import.meta.url), 500);
  await expect(aside.pool.add(aside.sender.way, aside.sender.joined)).rejects.toThrow('did not come within 0.5 s');
  expect(aside.pool.numbers).toEqual([]);
  await aside.pool.services(new Map());

  const later = await open(() => UNKNOWN_OWNER, new URL('./failing-later.fixture.ts', import.meta.url));
  const ended = await later.pool.add(later.sender.way, Promise.resolve());
  // Not held up: nothing is unenforced in a thread that is gone.
  await later.pool.services(new Map());
  await expect(ended.failed).rejects.toThrow('out of luck');
  await later.pool.remove(ended);
  await later.pool.services(new Map());
  await expect(Promise.race([later.pool.failed, Promise.resolve('goes on')])).resolves.toBe('goes on');
  await expect(failing.pool.services(new Map())).resolves.toBeUndefined();
});

test('while one that refused a change still lives, neither that change nor a later one is acknowledged', async () => {
  const { store, pool } = await open(() => UNKNOWN_OWNER, new URL('./lingering.fixture.ts', import.meta.url));
  const handle = await pool.add({} as never, Promise.resolve());
  const order: string[] = [];
  const apply = async (name: string, delta: NetmapDelta) => {
    const applied = store.apply(delta, false);
    if (applied.applied) await applied.elsewhere;
    order.push(name);
  };
  const closed = handle.closed.then(() => order.push('closed'));
  const refused = apply('refused', shut);
  await expect(handle.failed).rejects.toThrow('out of order');
  const removed = pool.remove(handle);
  // It is none of those that are told by then.
  await new Promise((resolve) => setImmediate(resolve));
  const later = apply('later', { ...shut, previous: 2, index: 3, revision: 3, upserts: [] });
  await Promise.all([closed, refused, later, removed]);
  expect(order[0]).toBe('closed');
  expect(pool.numbers).toEqual([]);
});
