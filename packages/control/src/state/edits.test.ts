import { beforeEach, expect, test } from 'vitest';
import { mesh, redis, StateBench } from './state.fixture.ts';

let bench: StateBench;
beforeEach(async () => {
  bench = await StateBench.open();
  await bench.apply(mesh([redis]));
});

const by = { dryRun: false, actor: 'control' };
const tagged = (name: string, ...tags: string[]) =>
  bench.state.edit('prod', { section: 'agents', name, entry: { name, tags, services: [] } }, by);

test('an entry that is put again keeps its place, and settings that say nothing are none', async () => {
  for (const name of ['a-1', 'b-1']) await tagged(name, 'eu');
  await tagged('a-1', 'us');
  expect(bench.network().mesh.agents).toEqual([
    { name: 'a-1', tags: ['us'], services: [] },
    { name: 'b-1', tags: ['eu'], services: [] },
  ]);
  await tagged('a-1');
  expect((await tagged('c-1')).changes).toEqual([]);
  expect(bench.network().mesh.agents.map(({ name }) => name)).toEqual(['b-1']);
});

test('what is wrong is named alike in the message and beside it', async () => {
  const entry = { name: 'shut', action: 'deny', from: ['nobody'], to: ['redis'], ports: [] } as const;
  await expect(bench.state.edit('prod', { section: 'policies', name: 'shut', entry }, by)).rejects.toMatchObject({
    message: expect.stringContaining('the mesh is wrong in policy.from[0]: '),
    fields: [{ field: 'policy.from[0]' }],
  });
});
