import { beforeEach, expect, test } from 'vitest';
import { mesh, randomBytes, redis, StateBench, scope } from './state.fixture.ts';
import type { State, StateChange } from './types.ts';

let bench: StateBench;
beforeEach(async () => {
  bench = await StateBench.open();
  await bench.apply(mesh([redis], { network: 'stage' }));
  await bench.apply(mesh([redis]));
});

test('its members and tokens end with it, and who listens is told at once', async () => {
  const [one, two] = [await bench.join('one', ['redis']), await bench.join('two', [])];
  await bench.state.registerInstances(one.id, ['redis']);
  const { id: token } = await bench.state.createToken(scope(), randomBytes(32), 1_000, 'control');
  const told: [State, StateChange][] = [];
  bench.state.subscribe((next, _previous, change) => told.push([next, change]));
  const before = bench.state.current.revision;
  expect(await bench.state.removeNetwork('prod', 'admin 10.0.0.7')).toEqual({
    hosts: ['one', 'two'],
    revision: before + 1,
  });
  expect(told).toEqual([[bench.state.current, { networks: ['prod'], takesAway: true }]]);
  const { networks, agents, revision } = bench.state.current;
  expect([[...networks.keys()], [...agents], revision]).toEqual([['stage'], [], before + 1]);
  expect(bench.state.token(token)).toBe(undefined);
  for (const { id } of [one, two]) {
    expect(bench.state.endedAgent(id)?.reason).toBe('network prod was removed by an operator');
  }
  expect((await bench.store.audit({ network: 'prod', limit: 1 }))[0]).toMatchObject({
    actor: 'admin 10.0.0.7',
    action: 'network-delete',
    subject: 'network prod',
    revision: before + 1,
    detail: '2 agents: one, two',
  });
  await expect(bench.state.removeNetwork('prod', 'control')).rejects.toMatchObject({ code: 'no-such-network' });
});

test('after another start it is gone, and no revision is given twice', async () => {
  await bench.join('one', ['redis']);
  const { id: token } = await bench.state.createToken(scope(), randomBytes(32), 1_000, 'control');
  const { revision } = await bench.state.removeNetwork('prod', 'control');
  const { current } = bench.state;
  await bench.reopen();
  expect(bench.state.current).toEqual(current);
  expect(bench.state.current.revision).toBe(revision);
  expect(bench.state.token(token)).toBe(undefined);
  // An agent that heard of the end is no sign of newer data.
  const timeline = await bench.state.beginRun(false);
  expect(bench.state.compare({ timeline, revision })).toBe('known');
  expect((await bench.apply(mesh([], { network: 'stage' }))).revision).toBe(revision + 1);
});

test('another of its name begins anew, with another secret, and outlives the start', async () => {
  await bench.join('one', ['redis']);
  const { secret } = bench.network();
  await bench.state.removeNetwork('prod', 'control');
  const { revision } = await bench.apply(mesh([redis]));
  expect(bench.network()).toMatchObject({ revision, meshRevision: revision, agents: new Map() });
  expect(bench.network().secret).not.toEqual(secret);
  expect(bench.vip('redis')).toBeGreaterThan(0);
  const joined = await bench.join('one', ['redis']);
  await bench.reopen();
  expect([...bench.network().agents.keys()]).toEqual([joined.id]);
  expect(await bench.state.revisions('prod', 10)).toMatchObject([{ revision }]);
});

test('where it was the last, its number is not given again either; its hosts may come back with a token of another', async () => {
  const joined = await bench.join('one', ['redis']);
  await bench.state.removeNetwork('stage', 'control');
  const { revision } = await bench.state.removeNetwork('prod', 'control');
  await bench.reopen();
  expect([bench.state.current.revision, bench.state.current.networks.size]).toEqual([revision, 0]);
  expect((await bench.apply(mesh([redis]))).revision).toBe(revision + 1);
  expect(bench.state.endedAgent(joined.id)).toMatchObject({ revoked: false });
});

test('nothing of another network is another by it', async () => {
  const stage = bench.network('stage');
  const { entries: acts, ...rest } = await told('stage');
  await bench.state.removeNetwork('prod', 'control');
  expect(bench.network('stage')).toBe(stage);
  const { entries, ...after } = await told('stage');
  expect([after, entries.filter(({ network }) => network === 'stage')]).toEqual([rest, acts]);
  await bench.reopen();
  expect(bench.network('stage')).toEqual(stage);
});

/** What is kept of it, and the audit of it. */
async function told(network: string) {
  const { networks } = await bench.store.read();
  const entries = (await bench.store.audit({ network, limit: 100 })).filter((entry) => entry.network === network);
  return {
    row: networks.find(({ name }) => name === network),
    revisions: await bench.state.revisions(network, 10),
    entries,
  };
}

test('its number is not given again however much was written down since', async () => {
  const { revision } = await bench.state.removeNetwork('prod', 'control');
  const signIn = { atMs: 1, actor: 'admin ::1', action: 'sign-in', network: '', subject: '', revision: 0, detail: '' };
  for (let n = 0; n < 9_200; n++) await bench.store.record({ ...signIn, refused: false });
  expect((await bench.store.audit({ network: '', limit: 20_000 })).length).toBeLessThan(9_100);
  await bench.reopen();
  expect(bench.state.current.revision).toBe(revision);
});
