import type { Mesh, Service } from '@weft/proto';
import { beforeEach, describe, expect, test } from 'vitest';
import { openAuditLog } from '../audit/log.ts';
import type { AuditEntry, AuditLog } from '../audit/types.ts';
import { mesh, service, tcp } from '../netmap/network.fixture.ts';
import { REVISIONS_KEPT } from '../store/history.ts';
import type { RowWrite } from '../store/rows.ts';
import { Store } from '../store/store.ts';
import { withAppend } from '../store/wrapped.fixture.ts';
import { openState } from './state.ts';
import type { JoinGrant, StateStore, TokenScope, TokenState } from './types.ts';

const ADMIN = 'admin 10.0.0.7';
let store: Store;
let state: StateStore;
let audit: AuditLog;
let clock: number;
const now = (): number => clock;

beforeEach(async () => {
  clock = 1_700_000_000_000;
  store = Store.inMemory();
  state = await openState({ store, now });
  audit = openAuditLog({ store, now });
});

const redis = service('redis', 'private', tcp(6379));
const web = service('web', 'web', tcp(3000));
const apply = (services: Service[], network = 'prod') =>
  state.apply(mesh({ network, services }), { dryRun: false, actor: ADMIN });
const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

async function token(rest: Partial<TokenScope> = {}): Promise<TokenState> {
  const scope = { network: 'prod', services: [], host: '', roles: [], reusable: true, ephemeral: false, ...rest };
  return await state.createToken(scope, key(0), 60_000, ADMIN);
}

function grant(host: string, byte: number, from: TokenState): JoinGrant {
  return { token: from, host, identityKey: key(byte), tunnelKey: key(byte + 100), version: '1' };
}

/** There is no such network. */
const unwritable: RowWrite = {
  write: 'putAddress',
  row: { network: 'nowhere', name: 'host/a', place: 1, releasedMs: undefined },
};

const entries = (network = ''): Promise<readonly AuditEntry[]> => audit.list({ network, limit: 1_000 });

describe('a mesh that was before', () => {
  const last = async () => {
    const [{ action, subject, revision, detail } = { action: '', subject: '', revision: 0, detail: '' }] =
      await entries('prod');
    return [action, subject, revision, detail];
  };
  const back = async (services: Service[], said?: number, network = 'prod') => {
    const whole = mesh({ network, services });
    const former = await state.formerRevision(whole, said);
    return await state.apply(whole, { dryRun: false, actor: ADMIN, ...(former !== undefined && { former }) });
  };
  beforeEach(async () => {
    for (const services of [[redis], [redis, web], [redis], [web]]) await back(services);
  });

  test('is told as a rollback to the newest revision that had it, whoever puts it in force', async () => {
    expect((await entries('prod')).map(({ action, subject }) => [action, subject])).toEqual([
      ['apply', 'network prod'],
      ['rollback', 'revision 1'],
      ['apply', 'network prod'],
      ['apply', 'network prod'],
    ]);
    await back([redis]);
    expect(await last()).toEqual(['rollback', 'revision 3', 5, '2 changes']);
  });

  test('or to the one that it is said to be of, if it had it', async () => {
    await token();
    await back([redis], 1);
    expect(await last()).toEqual(['rollback', 'revision 1', 5, '2 changes']);
    await back([redis, web], 1);
    expect(await last()).toEqual(['rollback', 'revision 2', 6, '1 change']);
    // The order of the entries is none of a mesh's meaning.
    await back([]);
    await back([web, redis], 6);
    expect(await last()).toEqual(['rollback', 'revision 6', 8, '2 changes']);
  });

  test('of another network is new, and so is one that was never whole', async () => {
    await back([redis, web], undefined, 'stage');
    expect((await entries('stage'))[0]).toMatchObject({ action: 'apply', subject: 'network stage' });
    const entry = { name: 'shut', action: 'deny', from: ['*'], to: ['web'], ports: [] } as const;
    const how = { dryRun: false, actor: ADMIN };
    await state.edit('prod', { section: 'policies', name: 'shut', entry }, how);
    await state.edit('prod', { section: 'policies', name: 'shut', entry: undefined }, how);
    expect((await last())[0]).toBe('policy-delete');
  });
});

describe('revisions', () => {
  test('each apply that changed something is one, newest first', async () => {
    await apply([redis]);
    clock += 5;
    await apply([redis]);
    await apply([redis, web]);
    await state.apply(mesh({}), { dryRun: true, actor: ADMIN });
    expect(await state.revisions('prod', 10)).toEqual([
      { revision: 2, appliedMs: clock, changes: [expect.objectContaining({ subject: 'service web' })] },
      {
        revision: 1,
        appliedMs: clock - 5,
        changes: [
          { operation: 'add', subject: 'network prod', detail: '' },
          expect.objectContaining({ operation: 'add', subject: 'service redis' }),
        ],
      },
    ]);
    expect((await state.revisions('prod', 1)).map(({ revision }) => revision)).toEqual([2]);
  });

  test('the mesh at a revision is that of the newest apply before it, whatever else made revisions', async () => {
    await apply([redis]);
    await apply([web], 'other');
    await state.join(grant('a', 1, await token()));
    await apply([redis, web]);
    const names = async (revision: number) =>
      (await state.meshAt('prod', revision)).mesh.services.map(({ name }) => name);
    expect(await Promise.all([1, 2, 3, 4].map(names))).toEqual([['redis'], ['redis'], ['redis'], ['redis', 'web']]);
    expect((await state.meshAt('prod', 3)).revision).toBe(1);
    expect((await state.meshAt('prod', 4)).mesh).toEqual(state.current.networks.get('prod')?.mesh);
    await expect(state.meshAt('other', 1)).rejects.toThrow(expect.objectContaining({ code: 'no-such-revision' }));
    await expect(state.meshAt('prod', 5)).rejects.toThrow(/the newest is 4/);
    await expect(state.meshAt('nowhere', 1)).rejects.toThrow(expect.objectContaining({ code: 'no-such-network' }));
  });

  test('a network that a token made has its first one too', async () => {
    await token({ network: 'stage' });
    expect(await state.revisions('stage', 10)).toEqual([
      { revision: 1, appliedMs: clock, changes: [{ operation: 'add', subject: 'network stage', detail: '' }] },
    ]);
    expect((await state.meshAt('stage', 1)).mesh.services).toEqual([]);
  });

  test('what is told of an apply is what a person reads', async () => {
    await apply(Array.from({ length: 250 }, (_, n) => service(`s${n}`, 'private', tcp(1))));
    const many = tcp(...Array.from({ length: 500 }, (_, n) => 2 * n + 1));
    await apply([service('wide', 'private', many)], 'other');
    const [prod] = await state.revisions('prod', 10);
    expect(prod?.changes).toHaveLength(201);
    expect(prod?.changes.at(-1)).toEqual({ operation: 'change', subject: '51 more', detail: '' });
    const [other] = await state.revisions('other', 10);
    expect(other?.changes.at(-1)).toMatchObject({
      subject: 'service wide',
      detail: expect.stringMatching(/^.{999}…$/),
    });
  });

  test('the newest 200 of a network are kept, and the error says from where on', async () => {
    await apply([web], 'other');
    for (let port = 1; port <= REVISIONS_KEPT + 3; port++) await apply([service('redis', 'private', tcp(port))]);
    const kept = (await state.revisions('prod', 1_000)).map(({ revision }) => revision);
    expect([kept.length, kept[0], kept.at(-1)]).toEqual([REVISIONS_KEPT, REVISIONS_KEPT + 4, 5]);
    expect((await state.meshAt('prod', 5)).mesh.services[0]?.ports).toEqual(tcp(4));
    await expect(state.meshAt('prod', 4)).rejects.toThrow(/not kept; those from revision 5 on are/);
    expect(await state.revisions('other', 10)).toHaveLength(1);
  });
});

describe('the audit', () => {
  test('has each change, with who did it, and no secret', async () => {
    await apply([redis, web]);
    const made = await token({ services: ['redis'], host: 'a', reusable: false });
    await state.join(grant('a', 1, made));
    await state.join(grant('a', 1, made));
    const ephemeral = await token({ ephemeral: true });
    const { agent } = await state.join(grant('b', 2, ephemeral));
    await state.forgetAgent(agent.id);
    await state.revokeAgent('prod', 'a', ADMIN);
    await state.join(grant('c', 3, ephemeral));
    await state.join(grant('d', 4, ephemeral));
    await state.revokeToken(ephemeral.id, 'admin 10.0.0.8');
    await state.revokeToken(made.id, ADMIN);
    await token({ network: 'stage' });
    const told = (await entries()).map(({ sequence, actor, action, network, subject, revision, detail }) =>
      [sequence, actor, action, network, subject, revision, detail].join(' | '),
    );
    const until = new Date(clock + 60_000).toISOString();
    const [a] = [(await store.read()).endedAgents.find(({ host }) => host === 'a')];
    expect(told.reverse()).toEqual([
      `1 | ${ADMIN} | apply | prod | network prod | 1 | 3 changes`,
      `2 | ${ADMIN} | token-create | prod | token ${made.id} | 0 | 1 service: redis; host a; until ${until}`,
      `3 | agent a | agent-join | prod | agent a | 2 | with token ${made.id}`,
      `4 | ${ADMIN} | token-create | prod | token ${ephemeral.id} | 0 | reusable; ephemeral; until ${until}`,
      `5 | agent b | agent-join | prod | agent b | 3 | with token ${ephemeral.id}`,
      `6 | control | agent-forget | prod | agent b | 4 | ${agent.id}`,
      `7 | ${ADMIN} | agent-revoke | prod | agent a | 5 | ${a?.id}`,
      `8 | agent c | agent-join | prod | agent c | 6 | with token ${ephemeral.id}`,
      `9 | agent d | agent-join | prod | agent d | 7 | with token ${ephemeral.id}`,
      `10 | admin 10.0.0.8 | token-revoke | prod | token ${ephemeral.id} | 8 | 2 agents: c, d`,
      `11 | ${ADMIN} | token-revoke | prod | token ${made.id} | 9 | `,
      expect.stringMatching(
        /^12 \| admin 10\.0\.0\.7 \| token-create \| stage \| token \S+ \| 10 \| makes the network; reu/,
      ),
    ]);
    expect((await entries()).every(({ atMs }) => atMs === clock)).toBe(true);
  });

  test('has nothing of what changed nothing', async () => {
    await apply([redis]);
    await apply([redis]);
    await state.apply(mesh({ services: [web] }), { dryRun: true, actor: ADMIN });
    await expect(apply([{ ...redis, name: 'Bad' }])).rejects.toThrow();
    await expect(state.revokeAgent('prod', 'nobody', ADMIN)).rejects.toThrow();
    await expect(state.revokeToken('tk_0', ADMIN)).rejects.toThrow();
    const { agent } = await state.join(grant('a', 1, await token({ services: ['redis'] })));
    const before = (await entries()).length;
    await state.registerInstances(agent.id, ['redis']);
    await state.forgetAgent(agent.id);
    expect((await entries()).length).toBe(before);
  });

  test('is as the change: both on disk, or neither', async () => {
    await apply([redis]);
    const made = await token({ services: ['redis'] });
    await state.join(grant('a', 1, made));
    const before = {
      contents: await store.read(),
      entries: await entries(),
      revisions: await state.revisions('prod', 10),
    };
    /** Breaks each commit at its end, or at the line of the audit. */
    const broken = async (fail: 'end' | 'audit'): Promise<StateStore> => {
      const append: Store['append'] = (expected, writes) =>
        store.append(
          expected,
          fail === 'audit'
            ? writes.map((each) => (each.write === 'addAudit' ? unwritable : each))
            : [...writes, unwritable],
        );
      return await openState({ store: withAppend(store, append), now });
    };
    for (const failing of [await broken('end'), await broken('audit')]) {
      const { current } = failing;
      const acts: (() => Promise<unknown>)[] = [
        () => failing.apply(mesh({ services: [web] }), { dryRun: false, actor: ADMIN }),
        () => failing.apply(mesh({ network: 'new' }), { dryRun: false, actor: ADMIN }),
        () => failing.createToken(made, key(0), 1, ADMIN),
        () => failing.revokeToken(made.id, ADMIN),
        () => failing.revokeAgent('prod', 'a', ADMIN),
        () => failing.join(grant('b', 2, made)),
      ];
      for (const act of acts) await expect(act()).rejects.toThrow('could not write');
      expect(failing.current).toEqual(current);
      expect({
        contents: await store.read(),
        entries: await entries(),
        revisions: await state.revisions('prod', 10),
      }).toEqual(before);
    }
  });
});

test('a change and its line are there after a restart', async () => {
  await apply([redis]);
  const before: Mesh | undefined = state.current.networks.get('prod')?.mesh;
  await apply([web]);
  const again = await openState({ store, now });
  expect((await again.meshAt('prod', 1)).mesh).toEqual(before);
  expect(await again.revisions('prod', 10)).toEqual(await state.revisions('prod', 10));
});
