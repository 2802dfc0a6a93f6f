/** What hosts may run, as the mesh and their grants say it, on disk and in memory. */
import { beforeEach, expect, test } from 'vitest';
import { readMesh } from './kept-mesh.ts';
import { mailer, mesh, redis, StateBench, web } from './state.fixture.ts';

let bench: StateBench;
beforeEach(async () => {
  bench = await StateBench.open();
});

const letting = (services: string[], declared = [redis, web, mailer]) =>
  mesh(declared, { agents: [{ name: 'a', tags: [], services }] });
const right = (host = 'a') => bench.network().agents.get(bench.network().hosts.get(host) ?? '')?.services;
const copies = () => [...bench.network().instances.keys()];

test('the mesh widens and narrows it, the copies go with it, and another start reads the same', async () => {
  await bench.apply(letting([]));
  const { id } = await bench.join('a', ['redis']);
  await bench.join('b', ['mailer']);
  await bench.apply(letting(['web']));
  expect([right(), right('b')]).toEqual([['redis', 'web'], ['mailer']]);
  await bench.state.registerInstances(id, ['redis', 'web', 'mailer']);
  expect(copies()).toEqual(['redis/0', 'web/0']);
  expect((await bench.openAgain()).current).toEqual(bench.state.current);
  await bench.apply(letting([]));
  expect([right(), copies()]).toEqual([['redis'], ['redis/0']]);
  expect((await bench.openAgain()).current).toEqual(bench.state.current);
});

test('of a kind and of all, a service that comes is in it at once', async () => {
  await bench.apply(letting(['kind:private'], [web]));
  await bench.join('a', []);
  await bench.join('b', ['*']);
  expect([right(), right('b')]).toEqual([[], ['web']]);
  await bench.apply(letting(['kind:private']));
  expect([right(), right('b')]).toEqual([['redis'], ['mailer', 'redis', 'web']]);
});

test('an agent that it does not concern stays the same object', async () => {
  await bench.apply(letting([]));
  await bench.join('b', ['redis']);
  const { agents } = bench.network();
  await bench.apply(letting(['web']));
  expect(bench.network().agents).toBe(agents);
});

test('tests go by what hosts would run', async () => {
  const asking = (services: string[]) => ({
    ...letting(services),
    policies: [{ name: 'shut', action: 'deny' as const, from: ['web'], to: ['redis'], ports: [] }],
    tests: [{ from: 'host:a', service: 'redis', port: 6379, protocol: 'tcp' as const, expect: 'deny' as const }],
  });
  await expect(bench.apply(asking(['mailer']))).rejects.toMatchObject({ code: 'tests-failed' });
  await bench.apply(asking(['web']));
});

test('a mesh that an older version kept lets hosts run nothing more', () => {
  const kept = JSON.stringify({ ...mesh([redis]), agents: [{ name: 'a', tags: ['eu'] }] });
  expect(readMesh(kept).agents).toEqual([{ name: 'a', tags: ['eu'], services: [] }]);
});
