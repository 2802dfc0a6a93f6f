/** What hosts may run, as the mesh and their grants say it, on disk and in memory. */
import { beforeEach, describe, expect, test } from 'vitest';
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

describe('a grant', () => {
  const asking = { dryRun: false, actor: 'control' };
  const grant = (services: string[], take = false, how = asking) =>
    bench.state.grantServices('prod', { agent: 'a', services, take }, how);
  beforeEach(async () => {
    await bench.apply(letting(['mailer']));
    const { id } = await bench.join('a', ['redis']);
    await bench.state.registerInstances(id, ['redis']);
  });

  test('widens and narrows what a member may run, is told in the audit, and outlives control and an apply', async () => {
    const { revision } = bench.network();
    const widened = await grant(['web']);
    expect(widened).toMatchObject({ revision: revision + 1, granted: ['redis', 'web'], warnings: [] });
    expect(widened.changes).toEqual([
      { operation: 'change', subject: 'agent a', detail: 'services redis -> redis, web' },
    ]);
    await bench.apply(letting([]));
    expect(right()).toEqual(['redis', 'web']);
    await grant(['redis'], true);
    expect([right(), copies()]).toEqual([['web'], []]);
    await bench.reopen();
    expect([right(), copies()]).toEqual([['web'], []]);
    const entries = (await bench.store.audit({ network: 'prod', limit: 10 })).filter(({ action }) =>
      /grant|take/.test(action),
    );
    expect(entries.map(({ action, subject, detail }) => [action, subject, detail])).toEqual([
      ['agent-take', 'agent a', 'services redis, web -> web'],
      ['agent-grant', 'agent a', 'services redis -> redis, web'],
    ]);
  });

  test('that is so already, or only asked about, changes nothing', async () => {
    const { revision } = bench.network();
    expect(await grant(['nobodys'], true)).toMatchObject({ revision, changes: [] });
    expect(await grant(['web'], false, { ...asking, dryRun: true })).toMatchObject({
      revision,
      granted: ['redis', 'web'],
    });
    expect(bench.network().revision).toBe(revision);
    await grant(['redis']);
    expect(await grant(['redis'])).toMatchObject({ revision: revision + 1, changes: [] });
  });

  test('takes nothing that another way gives, and says which', async () => {
    await expect(grant(['mailer'], true)).rejects.toMatchObject({
      code: 'invalid',
      fields: [{ field: 'services[0]', message: 'the mesh lets a run mailer (agents.a.services); take it out there' }],
    });
    await grant(['kind:web']);
    await expect(grant(['web'], true)).rejects.toThrow(
      'a may run web by kind:web; take that, and grant what is to stay',
    );
    await grant(['web']);
    expect((await grant(['web'], true)).warnings).toMatchObject([
      { message: expect.stringContaining('a may run web still') },
    ]);
    await expect(
      bench.state.grantServices('prod', { agent: 'b', services: ['web'], take: false }, asking),
    ).rejects.toThrow(/no host b has joined network prod/);
  });

  test('warns of a service that nobody declares, and of tests that the next apply would fail', async () => {
    await bench.apply({
      ...letting([]),
      policies: [{ name: 'shut', action: 'deny', from: ['web'], to: ['redis'], ports: [] }],
      tests: [{ from: 'host:a', service: 'redis', port: 6379, protocol: 'tcp', expect: 'allow' }],
    });
    const { warnings } = await grant(['web', 'rabbit']);
    expect(warnings).toMatchObject([
      { field: 'services[1]', message: 'the mesh declares no service rabbit yet' },
      { field: 'tests[0]', message: expect.stringContaining('got deny by shut') },
    ]);
  });

  test('ends with the membership', async () => {
    await bench.apply(letting([]));
    await grant(['web']);
    await bench.state.revokeAgent('prod', 'a', 'control');
    expect((await bench.join('a', ['redis'])).services).toEqual(['redis']);
  });
});
