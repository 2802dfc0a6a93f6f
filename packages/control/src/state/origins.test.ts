import type { Mesh, Rule } from '@weft/proto';
import { beforeEach, expect, test } from 'vitest';
import { mesh, redis, StateBench, web } from './state.fixture.ts';

const ADMIN = 'admin 10.0.0.7';
const OTHER = 'admin 10.0.0.9';
const deny = (name: string, ...to: string[]): Rule => ({ name, action: 'deny', from: ['web'], to, ports: [] });
const withRules = (...policies: Rule[]): Mesh => mesh([redis, web], { policies });

let bench: StateBench;
beforeEach(async () => {
  bench = await StateBench.open();
});

/** At these lines of mesh.yaml; without any, as a program applies. */
const apply = (whole: Mesh, lines?: readonly number[], actor = ADMIN, dryRun = false) =>
  bench.state.apply(whole, { dryRun, actor, ...(lines && { places: { file: 'mesh.yaml', lines } }) });
const origin = (rule: string) => bench.network().origins.get(rule);

test('a rule has the revision, the time and who of the apply that made it what it is, and its line', async () => {
  const { revision } = await apply(withRules(deny('a', 'redis'), deny('b', 'web')), [7, 9]);
  const set = { revision, setMs: bench.clock, actor: ADMIN, file: 'mesh.yaml' };
  expect([...bench.network().origins]).toEqual([
    ['a', { ...set, line: 7 }],
    ['b', { ...set, line: 9 }],
  ]);
  await bench.reopen();
  expect(origin('a')).toEqual({ ...set, line: 7 });
});

test('a later apply is told of for what it changed alone, and of all for where they stand', async () => {
  const first = await apply(withRules(deny('a', 'redis'), deny('b', 'web')), [7, 9]);
  const before = bench.clock;
  bench.clock += 60_000;
  const second = await apply(withRules(deny('new', 'redis'), deny('b', 'redis'), deny('a', 'redis')), [3, 4, 5], OTHER);
  const set = { revision: second.revision, setMs: bench.clock, actor: OTHER, file: 'mesh.yaml' };
  expect(origin('a')).toEqual({
    ...{ revision: first.revision, setMs: before, actor: ADMIN },
    ...{ file: 'mesh.yaml', line: 5 },
  });
  expect(origin('b')).toEqual({ ...set, line: 4 });
  expect(origin('new')).toEqual({ ...set, line: 3 });
  await apply(withRules(deny('a', 'redis')), [1]);
  expect([...bench.network().origins.keys()]).toEqual(['a']);
});

test('a rule that only moved is no change, and is kept where it is now', async () => {
  const rules = withRules(deny('a', 'redis'));
  const { revision } = await apply(rules, [7]);
  const audited = (await bench.store.audit({ network: '', limit: 10 })).length;
  expect(await apply(rules, [8], OTHER, true)).toMatchObject({ revision, changes: [] });
  expect(origin('a')).toMatchObject({ line: 7 });
  const heard: number[] = [];
  bench.state.subscribe((next) => heard.push(next.revision));
  expect(await apply(rules, [8], OTHER)).toMatchObject({ revision, changes: [] });
  expect(origin('a')).toMatchObject({ revision, actor: ADMIN, line: 8 });
  expect(bench.network()).toMatchObject({ revision, meshRevision: revision });
  expect(await bench.state.revisions('prod', 10)).toHaveLength(1);
  expect(await bench.store.audit({ network: '', limit: 10 })).toHaveLength(audited);
  await bench.reopen();
  expect(origin('a')).toMatchObject({ revision, actor: ADMIN, line: 8 });
  expect(heard).toEqual([revision]);
});

test('what is put without a file has who and when; what it leaves keeps its place', async () => {
  await apply(withRules(deny('a', 'redis'), deny('b', 'redis')), [7, 9]);
  const put = { section: 'policies', name: 'a', entry: deny('a', 'web') } as const;
  const { revision } = await bench.state.edit('prod', put, { dryRun: false, actor: OTHER });
  expect(origin('a')).toEqual({ revision, setMs: bench.clock, actor: OTHER, file: '', line: 0 });
  expect(origin('b')).toMatchObject({ actor: ADMIN, file: 'mesh.yaml', line: 9 });
  // As a rollback does it.
  const back = await apply(withRules(deny('a', 'redis'), deny('b', 'redis')));
  expect(origin('a')).toMatchObject({ revision: back.revision, file: '' });
  expect(origin('b')).toMatchObject({ actor: ADMIN, line: 9 });
});

test('of a mesh that a version kept without it nothing is known, until the next file tells its lines', async () => {
  const rules = withRules(deny('a', 'redis'));
  const { revision } = await apply(rules, [7]);
  await bench.store.append((await bench.store.read()).sequence, [
    { write: 'setOrigins', row: { network: 'prod', revision, origins: '' } },
  ]);
  await bench.reopen();
  expect(origin('a')).toBeUndefined();
  await apply(rules, [8]);
  expect(origin('a')).toEqual({ revision: 0, setMs: 0, actor: '', file: 'mesh.yaml', line: 8 });
  const changed = await apply(withRules(deny('a', 'web')), [8]);
  expect(origin('a')).toMatchObject({ revision: changed.revision, actor: ADMIN });
});

test('numbers above those that hosts heard of take nothing from it', async () => {
  const { revision } = await apply(withRules(deny('a', 'redis')), [7]);
  await bench.state.beginRun(true);
  await bench.state.numberOn('build-3', { timeline: 'other-1', revision: 400 });
  expect(bench.network().meshRevision).toBeGreaterThan(400);
  await bench.reopen();
  expect(origin('a')).toMatchObject({ revision, line: 7 });
});

test('what comes by a pipe leaves the place in a file of a rule that stays as it is', async () => {
  await apply(withRules(deny('a', 'redis'), deny('b', 'web')), [7, 9]);
  const piped = (...policies: Rule[]) =>
    bench.state.apply(withRules(...policies), {
      ...{ dryRun: false, actor: OTHER, places: { file: 'stdin', lines: policies.map((_rule, index) => index + 1) } },
    });
  await piped(deny('a', 'redis'), deny('b', 'redis'));
  expect(origin('a')).toMatchObject({ file: 'mesh.yaml', line: 7, actor: ADMIN });
  expect(origin('b')).toMatchObject({ file: 'stdin', line: 2, actor: OTHER });
});
