import { randomFillSync } from 'node:crypto';
import type { Mesh, Service } from '@weft/proto';
import { CONTROL_RANGE } from '@weft/proto';
import { beforeEach, describe, expect, test } from 'vitest';
import { byText } from '../order.ts';
import { Store } from '../store/store.ts';
import { withAppend } from '../store/wrapped.fixture.ts';
import { TOMBSTONE_MS } from './allotment.ts';
import { StateError } from './errors.ts';
import { openState } from './state.ts';
import type { AgentState, State, StateChange, StateStore, TokenScope } from './types.ts';

let store: Store;
let state: StateStore;
let clock: number;
/** How far the host's clock is off. */
let turnedMs: number;
const now = (): number => clock + turnedMs;
const steady = (): number => clock - 1_600_000_000_000.5;
const randomBytes = (length: number): Uint8Array => randomFillSync(new Uint8Array(length));

beforeEach(async () => {
  clock = 1_700_000_000_000;
  turnedMs = 0;
  store = Store.inMemory();
  state = await openState({ store, now, steady });
});

const tcp = (port: number): Service['ports'][number] => ({ protocol: 'tcp', first: port, last: port });
const redis: Service = { name: 'redis', kind: 'private', ports: [tcp(6379)], tags: [] };
const web: Service = {
  name: 'web',
  kind: 'web',
  ports: [tcp(3000)],
  public: { port: 3000, hosts: ['a.example'] },
  tags: [],
};
const mailer: Service = { name: 'mailer', kind: 'worker', ports: [], tags: [] };

function mesh(services: Service[], rest: Partial<Mesh> = {}): Mesh {
  return { network: 'prod', services, defaultAction: 'allow', policies: [], agents: [], tests: [], ...rest };
}

function scope(rest: Partial<TokenScope> = {}): TokenScope {
  return { network: 'prod', services: [], host: '', roles: [], reusable: true, ephemeral: false, ...rest };
}

async function join(host: string, services: string[], rest: Partial<TokenScope> = {}): Promise<AgentState> {
  const token = await state.createToken(scope({ services, ...rest }), randomBytes(32), 1_000, 'control');
  return (await state.join({ token, host, identityKey: randomBytes(32), tunnelKey: randomBytes(32), version: '1' }))
    .agent;
}

function network(name = 'prod') {
  const found = state.current.networks.get(name);
  if (found === undefined) throw new Error(`no network ${name}`);
  return found;
}

const vip = (service: string): number => (network().services.get(service)?.address ?? 0) - CONTROL_RANGE.base;
const apply = (next: Mesh) => state.apply(next, { dryRun: false, actor: 'control' });

describe('a token for a network that is not there', () => {
  const create = (network: string) => state.createToken(scope({ network }), randomBytes(32), 1_000, 'control');

  test('makes the network, empty, with a revision, and both are on disk', async () => {
    await apply(mesh([redis], { network: 'other' }));
    const heard: StateChange[] = [];
    state.subscribe((_next, _previous, change) => heard.push(change));
    const token = await create('prod');
    expect(state.current.revision).toBe(2);
    expect(network()).toMatchObject({ revision: 2, mesh: mesh([]) });
    expect(heard).toEqual([{ networks: ['prod'], takesAway: false }]);
    await create('prod');
    expect([state.current.revision, heard.length]).toEqual([2, 1]);
    const again = await openState({ store, now, steady });
    expect(again.current).toEqual(state.current);
    expect(again.token(token.id)).toMatchObject({ network: 'prod' });
  });

  test('is then applied to as to any', async () => {
    await create('prod');
    expect(await apply(mesh([redis]))).toMatchObject({ revision: 2, changes: [{ subject: 'service redis' }] });
    expect(vip('redis')).toBe(1);
    expect((await join('a', ['redis'])).services).toEqual(['redis']);
  });

  test('makes nothing when the name is wrong or the token cannot be written', async () => {
    await expect(create('Not A Name')).rejects.toThrow(expect.objectContaining({ code: 'invalid' }));
    // A host that is no text is refused by the tokens' table, which is written after the network.
    const unwritable = { ...scope(), host: null } as unknown as TokenScope;
    await expect(state.createToken(unwritable, randomBytes(32), 1_000, 'control')).rejects.toThrow();
    expect([state.current.revision, state.current.networks.size]).toEqual([0, 0]);
    expect(await store.read()).toMatchObject({ networks: [], tokens: [] });
  });
});

describe('apply', () => {
  test('makes the network, allots from offset 1, and counts', async () => {
    const { revision, changes } = await apply(mesh([redis, web]));
    expect(revision).toBe(1);
    expect(changes.map(({ operation, subject }) => `${operation} ${subject}`)).toEqual([
      'add network prod',
      'add service redis',
      'add service web',
    ]);
    expect([vip('redis'), vip('web')]).toEqual([1, 2]);
  });

  test('an identical mesh, in whatever order, changes nothing', async () => {
    await apply(mesh([redis, web]));
    const before = state.current;
    expect(await apply(mesh([web, { ...redis }]))).toEqual({ revision: 1, changes: [], warnings: [] });
    expect(state.current).toBe(before);
  });

  test('tells of hosts that rules name and that have not joined, in a dry run too', async () => {
    const rule = (name: string, from: string[]) => ({ name, action: 'deny' as const, from, to: ['redis'], ports: [] });
    const next = mesh([redis], { policies: [rule('one', ['host:a', 'host:b']), rule('two', ['*', 'host:b'])] });
    await apply(mesh([redis]));
    await join('a', ['redis']);
    const fields = ['policies[0].from[1]', 'policies[1].from[1]'];
    for (const dryRun of [true, false, false]) {
      const { warnings } = await state.apply(next, { dryRun, actor: 'control' });
      expect(warnings.map(({ field }) => field)).toEqual(fields);
      expect(warnings[0]?.message).toMatch(/^no host "b" has joined/);
    }
    await join('b', ['redis']);
    expect((await apply(next)).warnings).toEqual([]);
  });

  test('a dry run tells the difference and changes nothing', async () => {
    await apply(mesh([redis, web]));
    const before = state.current;
    const next = mesh([{ ...redis, ports: [tcp(6379), tcp(6380)] }, mailer], { defaultAction: 'deny' });
    const { revision, changes } = await state.apply(next, { dryRun: true, actor: 'control' });
    expect(revision).toBe(1);
    expect(changes).toEqual([
      { operation: 'remove', subject: 'service web', detail: '' },
      { operation: 'change', subject: 'service redis', detail: 'ports 6379 -> 6379, 6380' },
      { operation: 'add', subject: 'service mailer', detail: 'kind worker' },
      { operation: 'change', subject: 'default', detail: 'allow -> deny' },
    ]);
    expect(state.current).toBe(before);
    expect(
      (await state.apply({ ...next, network: 'new' }, { dryRun: true, actor: 'control' })).changes[0]?.subject,
    ).toBe('network new');
    expect(state.current.networks.has('new')).toBe(false);
  });

  test('a wrong mesh is refused with its fields, and a failed policy test too', async () => {
    await apply(mesh([redis]));
    const wrong = { ...redis, name: 'Redis' };
    await expect(apply(mesh([wrong]))).rejects.toThrow(StateError);
    try {
      await apply(
        mesh([redis, web], {
          tests: [{ from: 'internet', service: 'redis', port: 6379, protocol: 'tcp', expect: 'allow' }],
        }),
      );
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: 'tests-failed', fields: [{ field: 'tests[0]' }] });
    }
    expect(state.current.revision).toBe(1);
    expect(network().services.has('web')).toBe(false);
  });

  test('networks are apart, and share one counter', async () => {
    await apply(mesh([redis]));
    const prod = network();
    expect((await apply({ ...mesh([web]), network: 'test' })).revision).toBe(2);
    expect(network()).toBe(prod);
    expect(network('test').secret).not.toEqual(prod.secret);
    expect(network('test').services.get('web')?.address).toBe(CONTROL_RANGE.base + 1);
  });

  test('listeners are told what changed, and whether something is taken away', async () => {
    const told: StateChange[] = [];
    state.subscribe((next: State, previous: State, change) => {
      expect(next).toBe(state.current);
      expect(previous.revision).toBe(next.revision - 1);
      told.push(change);
    });
    await apply(mesh([redis]));
    await apply(mesh([redis, web]));
    await apply(
      mesh([redis, web], { policies: [{ name: 'p', action: 'deny', from: ['web'], to: ['redis'], ports: [] }] }),
    );
    await apply(mesh([redis, web]));
    await apply(mesh([redis]));
    await apply(mesh([redis], { defaultAction: 'deny' }));
    expect(told.map(({ takesAway }) => takesAway)).toEqual([false, false, true, false, true, true]);
  });
});

describe('addresses', () => {
  test('a name keeps its address for an hour after it went away', async () => {
    await apply(mesh([redis, web]));
    await apply(mesh([redis]));
    clock += TOMBSTONE_MS - 1;
    await apply(mesh([redis, mailer]));
    expect(vip('mailer')).toBe(3);
    await apply(mesh([redis, mailer, web]));
    expect(vip('web')).toBe(2);
  });

  test.each([
    ['ahead', 48],
    ['behind', -48],
    ['ahead while it went', -48],
  ])('the hour is one that passes, with a clock that is %s', async (which, hours) => {
    await apply(mesh([redis, web]));
    turnedMs = which === 'ahead while it went' ? -hours * 3_600_000 : 0;
    await apply(mesh([redis]));
    turnedMs += hours * 3_600_000;
    for (const restart of [false, true]) {
      if (restart) state = await openState({ store, now, steady });
      clock += TOMBSTONE_MS / 2 - 1;
      await apply(mesh([redis, mailer], { agents: [{ name: String(restart), tags: [] }] }));
      expect(vip('mailer')).toBe(3);
    }
    // What was released last is where a start goes on: the half hour before counts only in the run that saw it.
    clock += TOMBSTONE_MS / 2 + 2;
    await apply(mesh([redis, mailer, { ...web, name: 'shop' }]));
    expect(vip('shop')).toBe(2);
  });

  test('after the hour the lowest is given again', async () => {
    await apply(mesh([redis, web]));
    await apply(mesh([web]));
    clock += TOMBSTONE_MS;
    await apply(mesh([web, mailer]));
    expect(vip('mailer')).toBe(1);
  });

  test('a host that comes back has its address again', async () => {
    await apply(mesh([redis]));
    const { address } = await join('build-3', []);
    await join('build-4', []);
    await state.revokeAgent('prod', 'build-3', 'control');
    expect((await join('build-5', [])).address).not.toBe(address);
    expect((await join('build-3', [])).address).toBe(address);
  });
});

describe('instances', () => {
  test('take the lowest free ordinal and keep it, and the revision stays', async () => {
    await apply(mesh([redis, mailer]));
    const [a, b, c] = [await join('a', ['redis', 'mailer']), await join('b', ['redis']), await join('c', ['redis'])];
    const { revision } = state.current;
    for (const agent of [a, b]) await state.registerInstances(agent.id, ['redis', 'mailer', 'unknown']);
    await state.registerInstances(a.id, ['redis']);
    expect([...network().instances.keys()].sort(byText)).toEqual(['mailer/0', 'redis/0', 'redis/1']);
    expect(state.current.revision).toBe(revision);

    const freed = network().instances.get('redis/0');
    await state.revokeAgent('prod', a.id, 'control');
    expect(network().instances.has('mailer/0')).toBe(false);
    await state.registerInstances(c.id, ['redis']);
    expect(network().instances.get('redis/0')).toMatchObject({ agentId: c.id, address: freed?.address });
    expect(network().instances.get('redis/1')).toMatchObject({ agentId: b.id });
  });

  test('come back as they were when their service does', async () => {
    await apply(mesh([redis, web]));
    const agent = await join('a', ['redis']);
    await state.registerInstances(agent.id, ['redis']);
    const before = network().instances.get('redis/0');
    await apply(mesh([web]));
    expect(network().instances.size).toBe(0);
    await apply(mesh([redis, web]));
    expect(network().instances.get('redis/0')).toEqual(before);
  });
});

describe('membership', () => {
  beforeEach(async () => await apply(mesh([redis])));

  test('a single-use token lets one host in', async () => {
    const token = await state.createToken(scope({ reusable: false }), randomBytes(32), 1_000, 'control');
    const grant = { token, host: 'a', identityKey: randomBytes(32), tunnelKey: randomBytes(32), version: '' };
    const first = await state.join(grant);
    expect(await state.join(grant)).toEqual({ agent: first.agent, revision: first.revision });
    const other = { ...grant, host: 'b', identityKey: randomBytes(32), tunnelKey: randomBytes(32) };
    await expect(state.join(other)).rejects.toThrow(expect.objectContaining({ code: 'used' }));
    expect(state.token(token.id)?.uses).toBe(1);
  });

  test('a name or a key of another is refused', async () => {
    const a = await join('a', []);
    const token = await state.createToken(scope(), randomBytes(32), 1_000, 'control');
    const fresh = { token, host: 'b', identityKey: randomBytes(32), tunnelKey: randomBytes(32), version: '' };
    await expect(state.join({ ...fresh, host: 'a' })).rejects.toThrow(expect.objectContaining({ code: 'taken' }));
    await expect(state.join({ ...fresh, tunnelKey: a.tunnelKey })).rejects.toThrow(
      expect.objectContaining({ code: 'taken' }),
    );
    expect(network().agents.size).toBe(1);
  });

  test('the same agent with a narrower token stays itself and loses the rest', async () => {
    const a = await join('a', ['redis']);
    await state.registerInstances(a.id, ['redis']);
    const token = await state.createToken(scope({ services: ['web'] }), randomBytes(32), 1_000, 'control');
    const { agent } = await state.join({
      token,
      host: 'a2',
      identityKey: a.identityKey,
      tunnelKey: a.tunnelKey,
      version: '',
    });
    expect(agent).toMatchObject({ id: a.id, host: 'a2', services: ['web'] });
    expect(network().instances.size).toBe(0);
    expect([...network().hosts]).toEqual([['a2', a.id]]);
  });

  test('a clock that is ahead for a moment forgets no token and no revocation', async () => {
    const day = 86_400_000;
    const old = await state.createToken(scope(), randomBytes(32), 365 * day, 'control');
    const keys = { identityKey: randomBytes(32), tunnelKey: randomBytes(32), version: '1' };
    await state.join({ token: old, host: 'a', ...keys });
    await state.revokeAgent('prod', 'a', 'control');
    const short = await state.createToken(scope(), randomBytes(32), 1_000, 'control');
    await join('b', []);
    for (const restart of [false, true]) {
      if (restart) state = await openState({ store, now, steady });
      turnedMs = 500 * day;
      await state.revokeAgent('prod', restart ? 'c' : 'b', 'control');
      await join('c', []);
      turnedMs = 0;
      expect(state.token(short.id)?.id).toBe(short.id);
      await expect(state.join({ token: old, host: 'a', ...keys })).rejects.toMatchObject({ code: 'revoked' });
    }
  });

  test('a jump of the clock is not believed because it was ahead, in good order, hours before', async () => {
    const [hour, day] = [3_600_000, 86_400_000];
    const old = await state.createToken(scope(), randomBytes(32), 365 * day, 'control');
    const keys = { identityKey: randomBytes(32), tunnelKey: randomBytes(32), version: '1' };
    await state.join({ token: old, host: 'a', ...keys });
    for (const host of ['b', 'c']) await join(host, []);
    await state.revokeAgent('prod', 'a', 'control');
    clock += 2 * hour;
    state = await openState({ store, now, steady });
    await state.revokeAgent('prod', 'b', 'control');
    clock += 2 * hour;
    turnedMs = 500 * day;
    await state.revokeAgent('prod', 'c', 'control');
    turnedMs = 0;
    await expect(state.join({ token: old, host: 'a', ...keys })).rejects.toMatchObject({ code: 'revoked' });
  });

  test('a revocation of a time when the clock was far behind is kept for as long as a token from before it is good', async () => {
    const day = 86_400_000;
    const old = await state.createToken(scope(), randomBytes(32), 365 * day, 'control');
    const keys = { identityKey: randomBytes(32), tunnelKey: randomBytes(32), version: '1' };
    await state.join({ token: old, host: 'a', ...keys });
    turnedMs = -clock;
    await state.revokeAgent('prod', 'a', 'control');
    turnedMs = 0;
    for (const host of ['b', 'c', 'd']) {
      await join(host, []);
      clock += day;
      await state.revokeAgent('prod', host, 'control');
    }
    await expect(state.join({ token: old, host: 'a', ...keys })).rejects.toMatchObject({ code: 'revoked' });
  });

  test('revoking a token ends every membership that came of it', async () => {
    const token = await state.createToken(scope(), randomBytes(32), 1_000, 'control');
    for (const host of ['b', 'a']) {
      await state.join({ token, host, identityKey: randomBytes(32), tunnelKey: randomBytes(32), version: '' });
    }
    const other = await join('c', []);
    const { revision } = state.current;
    const gone = [...network().agents.values()].filter(({ host }) => host !== 'c');
    expect(await state.revokeToken(token.id, 'control')).toEqual({ hosts: ['a', 'b'], revision: revision + 1 });
    expect([...state.current.agents.keys()]).toEqual([other.id]);
    expect(state.endedAgent(gone[0]?.id ?? '')).toMatchObject({ revoked: true });
    expect(await state.revokeToken(token.id, 'control')).toEqual({ hosts: [], revision: revision + 1 });
  });

  test('only an ephemeral agent is forgotten', async () => {
    const [stays, goes] = [await join('a', []), await join('b', [], { ephemeral: true })];
    expect([
      await state.forgetAgent(stays.id),
      await state.forgetAgent(goes.id),
      await state.forgetAgent(goes.id),
    ]).toEqual([false, true, false]);
    expect(state.endedAgent(goes.id)?.revoked).toBe(false);
  });
});

test('everything is there again after a restart', async () => {
  await apply(
    mesh([redis, web, mailer], { policies: [{ name: 'p', action: 'deny', from: ['*'], to: ['redis'], ports: [] }] }),
  );
  await apply({ ...mesh([web]), network: 'other' });
  const a = await join('a', ['redis', 'mailer']);
  clock += 1;
  const agents = [a, await join('b', ['redis'])];
  for (const agent of agents) await state.registerInstances(agent.id, ['redis', 'mailer']);
  await state.revokeAgent('prod', 'b', 'control');
  await apply(mesh([redis, mailer]));
  const again = await openState({ store, now, steady });
  expect(again.current).toEqual(state.current);
  expect(again.tokens('prod')).toEqual(state.tokens('prod'));
  expect(again.endedAgent(agents[1]?.id ?? '')).toEqual(state.endedAgent(agents[1]?.id ?? ''));
});

test('a change that cannot be written leaves memory as the disk has it', async () => {
  await apply(mesh([redis]));
  const { current } = state;
  const append = async (): Promise<never> => {
    throw new Error('disk full');
  };
  const failing = await openState({ store: withAppend(store, append), now });
  await expect(failing.apply(mesh([redis, web]), { dryRun: false, actor: 'control' })).rejects.toThrow('disk full');
  await expect(failing.createToken(scope(), randomBytes(32), 1, 'control')).rejects.toThrow('disk full');
  expect(failing.current).toEqual(current);
  expect(failing.tokens('prod')).toEqual([]);
  expect((await openState({ store, now, steady })).current).toEqual(current);
});
