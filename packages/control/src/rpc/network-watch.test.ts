import type { pb } from '@weft/proto/wire';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { LiveAgent } from '../fleet/live.ts';
import { mesh, redis, StateBench, web } from '../state/state.fixture.ts';
import { NetworkWatch } from './network-watch.ts';

let bench: StateBench;
let connected: boolean;
let network: NetworkWatch;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  bench = await StateBench.open();
  await bench.apply(mesh([redis]));
  connected = false;
  const live = {
    agent: () => ({ connected, enforcedRevision: 1, kept: true }) as LiveAgent,
    instance: () => (connected ? { healthy: true, notListening: [] } : undefined),
  };
  network = new NetworkWatch({ state: bench.state, live, flows: { dropped: () => 0 } });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A watch whose messages are read one by one. */
function open(resumeToken = '', role: 'read' | 'admin' = 'read') {
  const end = new AbortController();
  const got: pb.Outgoing<pb.WatchNetworkResponse>[] = [];
  let taken = Promise.resolve();
  const write = async (message: pb.Outgoing<pb.WatchNetworkResponse>): Promise<void> => {
    got.push(message);
    await taken;
  };
  const over = network.watch('prod', role, resumeToken, end.signal, write).catch((error: unknown) => error);
  return {
    over,
    /** What came since this was last asked. */
    async read(): Promise<pb.Outgoing<pb.WatchNetworkResponse>[]> {
      await vi.advanceTimersByTimeAsync(1_000);
      return got.splice(0);
    },
    /** Takes nothing until what is returned is called. */
    stall(): () => void {
      const { promise, resolve } = Promise.withResolvers<void>();
      taken = promise;
      return resolve;
    },
    async leave(): Promise<void> {
      end.abort(new Error('left'));
      await over;
    },
  };
}

const names = (message: pb.Outgoing<pb.WatchNetworkResponse> | undefined) =>
  message?.services?.map(({ service }) => service?.name);

test('all there is comes first, then what changes, and nothing while nothing does', async () => {
  const watch = open();
  const [first, ...more] = await watch.read();
  expect(more).toEqual([]);
  expect(first).toMatchObject({ snapshot: true, network: { network: 'prod', revision: 1 }, agents: [] });
  expect(names(first)).toEqual(['redis']);
  expect(await watch.read()).toEqual([]);

  await bench.join('one', ['redis']);
  const [joined] = await watch.read();
  expect(joined).toMatchObject({ snapshot: false, services: [], agents: [{ host: 'one', connected: false }] });
  await bench.state.registerInstances(joined?.agents?.[0]?.agentId ?? '', ['redis']);
  connected = true;
  expect(await watch.read()).toMatchObject([
    { services: [{ instances: [{ host: 'one', healthy: true }] }], agents: [{ connected: true }] },
  ]);
  await bench.apply(mesh([web]));
  expect(await watch.read()).toMatchObject([{ network: { revision: 3 }, removedServices: ['redis'] }]);
  await watch.leave();
});

test('a watch goes on where another ended, and begins anew by a token that says nothing', async () => {
  const before = open();
  const [first] = await before.read();
  await before.leave();
  await bench.apply(mesh([redis, web]));
  const after = open(first?.resumeToken);
  const [told] = await after.read();
  expect(told).toMatchObject({ snapshot: false, network: { revision: 2 } });
  expect(names(told)).toEqual(['web']);
  await after.leave();
  const [, version] = (first?.resumeToken ?? '').split('-');
  for (const token of ['x', `${'0'.repeat(16)}-${version}`, `${first?.resumeToken}0000`]) {
    const anew = open(token);
    expect(await anew.read()).toMatchObject([{ snapshot: true }]);
    await anew.leave();
  }
});

test('a network that is removed ends its watches, and another of its name does not go on where they ended', async () => {
  const [before, left] = [open(), open()];
  const [first] = await before.read();
  await left.leave();
  await bench.state.removeNetwork('prod', 'control');
  await before.read();
  expect(await before.over).toMatchObject({ code: 'no-such-network' });
  expect(await open().over).toMatchObject({ code: 'no-such-network' });
  await bench.apply(mesh([web]));
  const after = open(first?.resumeToken);
  expect(await after.read()).toMatchObject([{ snapshot: true, removedServices: [] }]);
  await after.leave();
});

test('one that reads slowly is sent what changed meanwhile at once, and the rest does not wait for it', async () => {
  const [slow, quick] = [open(), open()];
  await Promise.all([slow.read(), quick.read()]);
  const go = slow.stall();
  for (let port = 1; port <= 5; port++) {
    await bench.apply(mesh([{ ...redis, ports: [{ protocol: 'tcp', first: port, last: port }] }]));
    expect(await quick.read()).toHaveLength(1);
  }
  expect(await slow.read()).toHaveLength(1);
  go();
  expect(await slow.read()).toMatchObject([
    { network: { revision: 6 }, services: [{ service: { ports: [{ first: 5 }] } }] },
  ]);
  await Promise.all([slow.leave(), quick.leave()]);
});

test('each role watches so many times and no more, and again when one has left', async () => {
  await bench.apply(mesh([redis]));
  const watches = Array.from({ length: 48 }, () => open());
  for (const watch of watches) await watch.read();
  expect(await open().over).toMatchObject({ code: 'limit' });
  const admin = open('', 'admin');
  expect(await admin.read()).toHaveLength(1);
  await admin.leave();
  for (const watch of watches) await watch.leave();
  const again = open();
  await again.read();
  await again.leave();
});

test('what is large comes in parts, of which the last has the token', async () => {
  await bench.apply(mesh(Array.from({ length: 1_100 }, (_, index) => ({ ...redis, name: `s${index}` }))));
  const watch = open();
  const parts = await watch.read();
  expect(
    parts.map(({ services = [], snapshot, resumeToken }) => [services.length, snapshot, resumeToken !== '']),
  ).toEqual([
    [500, true, false],
    [500, false, false],
    [100, false, true],
  ]);
  await watch.leave();
});
