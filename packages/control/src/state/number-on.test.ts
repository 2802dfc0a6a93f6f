/** What was read before control's data went back must not be taken for what is there now. */
import { beforeEach, expect, test } from 'vitest';
import { mesh, redis, StateBench, web } from './state.fixture.ts';

let bench: StateBench;
beforeEach(async () => {
  bench = await StateBench.open();
  await bench.apply(mesh([redis]));
});

const expecting = (expected: number) => bench.state.apply(mesh([web]), { dryRun: false, actor: 'control', expected });

test.each<[string, () => Promise<unknown>]>([
  ['an operator accepts older data', () => bench.state.beginRun(true)],
  ['an agent heard more than that', () => bench.state.numberOn('one', { timeline: 'e0-r0-0-', revision: 40 })],
])('when %s, each mesh gets a number that nobody has seen', async (_when, act) => {
  const old = bench.network().revision;
  await act();
  const { revision, meshRevision } = bench.network();
  expect(revision).toBeGreaterThan(old);
  expect(meshRevision).toBe(revision);
  for (let seen = old; seen < revision; seen++) {
    await expect(expecting(seen)).rejects.toMatchObject({ code: 'changed-since' });
  }
  const { current } = bench.state;
  await bench.reopen();
  expect(bench.state.current).toEqual(current);
  expect(await bench.state.meshAt('prod', revision)).toEqual({ revision, mesh: mesh([redis]) });
  expect((await bench.state.revisions('prod', 10))[0]).toMatchObject({
    revision,
    changes: [
      { operation: 'change', subject: 'network prod', detail: `as of revision ${old}: older data was accepted` },
    ],
  });
  expect((await expecting(revision)).revision).toBe(revision + 1);
});

test.each([
  [5, '1 host: one heard of revision 5;'],
  [1, '1 host: one heard of changes up to revision 1 that it does not hold;'],
])('the audit tells that a host heard up to revision %i as it is', async (heard, told) => {
  await bench.state.foundOlder('one', heard);
  const [entry] = await bench.store.audit({ network: '', limit: 1 });
  expect([entry?.action, entry?.detail]).toEqual(['older-data-find', expect.stringContaining(told)]);
});
