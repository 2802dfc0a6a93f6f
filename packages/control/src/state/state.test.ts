import { byText, CONTROL_RANGE } from '@weft/proto';
import { beforeEach, describe, expect, test } from 'vitest';
import { withAppend } from '../store/wrapped.fixture.ts';
import { TOMBSTONE_MS } from './allotment.ts';
import { StateError } from './errors.ts';
import { mailer, mesh, randomBytes, redis, StateBench, scope, tcp, web } from './state.fixture.ts';
import { openState } from './state.ts';
import type { State, StateChange } from './types.ts';

let bench: StateBench;
beforeEach(async () => {
  bench = await StateBench.open();
});

describe('apply', () => {
  test('makes the network, allots from offset 1, and counts', async () => {
    const { revision, changes } = await bench.apply(mesh([redis, web]));
    expect(revision).toBe(1);
    expect(changes.map(({ operation, subject }) => `${operation} ${subject}`)).toEqual([
      'add network prod',
      'add service redis',
      'add service web',
    ]);
    expect([bench.vip('redis'), bench.vip('web')]).toEqual([1, 2]);
  });

  test('an identical mesh, in whatever order, changes nothing', async () => {
    await bench.apply(mesh([redis, web]));
    const before = bench.state.current;
    expect(await bench.apply(mesh([web, { ...redis }]))).toEqual({ revision: 1, changes: [], warnings: [] });
    expect(bench.state.current).toBe(before);
  });

  test('tells of hosts that rules name and that have not joined, in a dry run too', async () => {
    const rule = (name: string, from: string[]) => ({ name, action: 'deny' as const, from, to: ['redis'], ports: [] });
    const next = mesh([redis], { policies: [rule('one', ['host:a', 'host:b']), rule('two', ['*', 'host:b'])] });
    await bench.apply(mesh([redis]));
    await bench.join('a', ['redis']);
    const fields = ['policies[0].from[1]', 'policies[1].from[1]'];
    for (const dryRun of [true, false, false]) {
      const { warnings } = await bench.state.apply(next, { dryRun, actor: 'control' });
      expect(warnings.map(({ field }) => field)).toEqual(fields);
      expect(warnings[0]?.message).toMatch(/^no host "b" has joined/);
    }
    await bench.join('b', ['redis']);
    expect((await bench.apply(next)).warnings).toEqual([]);
  });

  test('tells of hosts that have not joined wherever a mesh names one', async () => {
    const asked = { service: 'redis', port: 6379, protocol: 'tcp', expect: 'allow' } as const;
    const next = mesh([redis], {
      agents: [
        { name: 'a', tags: ['eu'], services: [] },
        { name: 'b', tags: [], services: [] },
      ],
      tests: [
        { from: 'host:a', ...asked },
        { from: 'redis', ...asked },
        { from: 'host:b', ...asked },
      ],
    });
    await bench.apply(mesh([redis]));
    await bench.join('a', ['redis']);
    const { warnings } = await bench.apply(next);
    expect(warnings.map(({ field }) => field)).toEqual(['agents.b', 'tests[2].from']);
    for (const { message } of warnings) expect(message).toMatch(/^no host "b" has joined; until one does this /);
  });

  test('tells of rules about the internet while no gateway has joined', async () => {
    const rule = { name: 'shut', action: 'deny' as const, from: ['*', 'internet'], to: ['web'], ports: [] };
    const next = mesh([web], { policies: [rule] });
    await bench.apply(mesh([web]));
    await bench.join('a', ['web']);
    expect((await bench.apply(next)).warnings).toEqual([
      { field: 'policies[0].from[1]', message: 'no gateway has joined; until one does this selects nothing' },
    ]);
    await bench.join('gate', [], { roles: ['gateway'] });
    expect((await bench.apply(next)).warnings).toEqual([]);
  });

  test('a dry run tells the difference and changes nothing', async () => {
    await bench.apply(mesh([redis, web]));
    const before = bench.state.current;
    const next = mesh([{ ...redis, ports: [tcp(6379), tcp(6380)] }, mailer], { defaultAction: 'deny' });
    const { revision, changes } = await bench.state.apply(next, { dryRun: true, actor: 'control' });
    expect(revision).toBe(1);
    expect(changes).toEqual([
      { operation: 'remove', subject: 'service web', detail: '' },
      { operation: 'change', subject: 'service redis', detail: 'ports 6379 -> 6379, 6380' },
      { operation: 'add', subject: 'service mailer', detail: 'kind worker' },
      { operation: 'change', subject: 'default', detail: 'allow -> deny' },
    ]);
    expect(bench.state.current).toBe(before);
    expect(
      (await bench.state.apply({ ...next, network: 'new' }, { dryRun: true, actor: 'control' })).changes[0]?.subject,
    ).toBe('network new');
    expect(bench.state.current.networks.has('new')).toBe(false);
  });

  test('a wrong mesh is refused with its fields, and a failed policy test too', async () => {
    await bench.apply(mesh([redis]));
    const wrong = { ...redis, name: 'Redis' };
    await expect(bench.apply(mesh([wrong]))).rejects.toThrow(StateError);
    try {
      await bench.apply(
        mesh([redis, web], {
          tests: [{ from: 'internet', service: 'redis', port: 6379, protocol: 'tcp', expect: 'allow' }],
        }),
      );
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: 'tests-failed', fields: [{ field: 'tests[0]' }] });
    }
    expect(bench.state.current.revision).toBe(1);
    expect(bench.network().services.has('web')).toBe(false);
  });

  test('networks are apart, and share one counter', async () => {
    await bench.apply(mesh([redis]));
    const prod = bench.network();
    expect((await bench.apply({ ...mesh([web]), network: 'test' })).revision).toBe(2);
    expect(bench.network()).toBe(prod);
    expect(bench.network('test').secret).not.toEqual(prod.secret);
    expect(bench.network('test').services.get('web')?.address).toBe(CONTROL_RANGE.base + 1);
  });

  test('listeners are told what changed, and whether something is taken away', async () => {
    const told: StateChange[] = [];
    bench.state.subscribe((next: State, previous: State, change) => {
      expect(next).toBe(bench.state.current);
      expect(previous.revision).toBe(next.revision - 1);
      told.push(change);
    });
    await bench.apply(mesh([redis]));
    await bench.apply(mesh([redis, web]));
    await bench.apply(
      mesh([redis, web], { policies: [{ name: 'p', action: 'deny', from: ['web'], to: ['redis'], ports: [] }] }),
    );
    await bench.apply(mesh([redis, web]));
    await bench.apply(mesh([redis]));
    await bench.apply(mesh([redis], { defaultAction: 'deny' }));
    expect(told.map(({ takesAway }) => takesAway)).toEqual([false, false, true, false, true, true]);
  });
});

describe('addresses', () => {
  test('a name keeps its address for an hour after it went away', async () => {
    await bench.apply(mesh([redis, web]));
    await bench.apply(mesh([redis]));
    bench.clock += TOMBSTONE_MS - 1;
    await bench.apply(mesh([redis, mailer]));
    expect(bench.vip('mailer')).toBe(3);
    await bench.apply(mesh([redis, mailer, web]));
    expect(bench.vip('web')).toBe(2);
  });

  test.each([
    ['ahead', 48],
    ['behind', -48],
    ['ahead while it went', -48],
  ])('the hour is one that passes, with a clock that is %s', async (which, hours) => {
    await bench.apply(mesh([redis, web]));
    bench.turnedMs = which === 'ahead while it went' ? -hours * 3_600_000 : 0;
    await bench.apply(mesh([redis]));
    bench.turnedMs += hours * 3_600_000;
    for (const restart of [false, true]) {
      if (restart) await bench.reopen();
      bench.clock += TOMBSTONE_MS / 2 - 1;
      await bench.apply(mesh([redis, mailer], { agents: [{ name: String(restart), tags: [], services: [] }] }));
      expect(bench.vip('mailer')).toBe(3);
    }
    // What was released last is where a start goes on: the half hour before counts only in the run that saw it.
    bench.clock += TOMBSTONE_MS / 2 + 2;
    await bench.apply(mesh([redis, mailer, { ...web, name: 'shop' }]));
    expect(bench.vip('shop')).toBe(2);
  });

  test('after the hour the lowest is given again', async () => {
    await bench.apply(mesh([redis, web]));
    await bench.apply(mesh([web]));
    bench.clock += TOMBSTONE_MS;
    await bench.apply(mesh([web, mailer]));
    expect(bench.vip('mailer')).toBe(1);
  });

  test('a host that comes back has its address again', async () => {
    await bench.apply(mesh([redis]));
    const { address } = await bench.join('build-3', []);
    await bench.join('build-4', []);
    await bench.state.revokeAgent('prod', 'build-3', 'control');
    expect((await bench.join('build-5', [])).address).not.toBe(address);
    expect((await bench.join('build-3', [])).address).toBe(address);
  });
});

describe('instances', () => {
  test('take the lowest free ordinal and keep it, and the revision stays', async () => {
    await bench.apply(mesh([redis, mailer]));
    const [a, b, c] = [
      await bench.join('a', ['redis', 'mailer']),
      await bench.join('b', ['redis']),
      await bench.join('c', ['redis']),
    ];
    const { revision } = bench.state.current;
    for (const agent of [a, b]) await bench.state.registerInstances(agent.id, ['redis', 'mailer', 'unknown']);
    await bench.state.registerInstances(a.id, ['redis']);
    expect([...bench.network().instances.keys()].sort(byText)).toEqual(['mailer/0', 'redis/0', 'redis/1']);
    expect(bench.state.current.revision).toBe(revision);

    const freed = bench.network().instances.get('redis/0');
    await bench.state.revokeAgent('prod', a.id, 'control');
    expect(bench.network().instances.has('mailer/0')).toBe(false);
    await bench.state.registerInstances(c.id, ['redis']);
    expect(bench.network().instances.get('redis/0')).toMatchObject({ agentId: c.id, address: freed?.address });
    expect(bench.network().instances.get('redis/1')).toMatchObject({ agentId: b.id });
  });

  test('come back as they were when their service does', async () => {
    await bench.apply(mesh([redis, web]));
    const agent = await bench.join('a', ['redis']);
    await bench.state.registerInstances(agent.id, ['redis']);
    const before = bench.network().instances.get('redis/0');
    await bench.apply(mesh([web]));
    expect(bench.network().instances.size).toBe(0);
    await bench.apply(mesh([redis, web]));
    expect(bench.network().instances.get('redis/0')).toEqual(before);
  });
});

test('everything is there again after a restart', async () => {
  await bench.apply(
    mesh([redis, web, mailer], { policies: [{ name: 'p', action: 'deny', from: ['*'], to: ['redis'], ports: [] }] }),
  );
  await bench.apply({ ...mesh([web]), network: 'other' });
  const a = await bench.join('a', ['redis', 'mailer']);
  bench.clock += 1;
  const agents = [a, await bench.join('b', ['redis'])];
  for (const agent of agents) await bench.state.registerInstances(agent.id, ['redis', 'mailer']);
  await bench.state.revokeAgent('prod', 'b', 'control');
  await bench.apply(mesh([redis, mailer]));
  const again = await bench.openAgain();
  expect(again.current).toEqual(bench.state.current);
  expect(again.tokens('prod')).toEqual(bench.state.tokens('prod'));
  expect(again.endedAgent(agents[1]?.id ?? '')).toEqual(bench.state.endedAgent(agents[1]?.id ?? ''));
});

test('a change that cannot be written leaves memory as the disk has it', async () => {
  await bench.apply(mesh([redis]));
  const { current } = bench.state;
  const append = async (): Promise<never> => {
    throw new Error('disk full');
  };
  const failing = await openState({ store: withAppend(bench.store, append), now: bench.now });
  await expect(failing.apply(mesh([redis, web]), { dryRun: false, actor: 'control' })).rejects.toThrow('disk full');
  await expect(failing.createToken(scope(), randomBytes(32), 1, 'control')).rejects.toThrow('disk full');
  expect(failing.current).toEqual(current);
  expect(failing.tokens('prod')).toEqual([]);
  expect((await bench.openAgain()).current).toEqual(current);
});
