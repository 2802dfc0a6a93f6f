import type { Mesh, Service } from '@weft/proto';
import { beforeEach, describe, expect, test } from 'vitest';
import { openAuditLog } from '../audit/log.ts';
import type { AuditEntry, AuditLog } from '../audit/types.ts';
import { mesh, service, tcp } from '../netmap/network.fixture.ts';
import { REVISIONS_KEPT } from '../store/history.ts';
import type { RowWrite } from '../store/rows.ts';
import { Store } from '../store/store.ts';
import { openState } from './state.ts';
import type { JoinGrant, StateStore, TokenScope, TokenState } from './types.ts';

const ADMIN = 'admin 10.0.0.7';
let store: Store;
let state: StateStore;
let audit: AuditLog;
let clock: number;
const now = (): number => clock;

beforeEach(() => {
  clock = 1_700_000_000_000;
  store = Store.inMemory();
  state = openState({ store, now });
  audit = openAuditLog({ store, now });
});

const redis = service('redis', 'private', tcp(6379));
const web = service('web', 'web', tcp(3000));
const apply = (services: Service[], network = 'prod') =>
  state.apply(mesh({ network, services }), { dryRun: false, actor: ADMIN });
const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

function token(rest: Partial<TokenScope> = {}): TokenState {
  const scope = { network: 'prod', services: [], host: '', roles: [], reusable: true, ephemeral: false, ...rest };
  return state.createToken(scope, key(0), 60_000, ADMIN);
}

function grant(host: string, byte: number, from: TokenState): JoinGrant {
  return { token: from, host, identityKey: key(byte), tunnelKey: key(byte + 100), version: '1' };
}

/** There is no such network. */
const unwritable: RowWrite = {
  write: 'putAddress',
  row: { network: 'nowhere', name: 'host/a', offset: 1, releasedMs: undefined },
};

const entries = (network = ''): readonly AuditEntry[] => audit.list({ network, limit: 1_000 });

describe('revisions', () => {
  test('each apply that changed something is one, newest first', () => {
    apply([redis]);
    clock += 5;
    apply([redis]);
    apply([redis, web]);
    state.apply(mesh({}), { dryRun: true, actor: ADMIN });
    expect(state.revisions('prod', 10)).toEqual([
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
    expect(state.revisions('prod', 1).map(({ revision }) => revision)).toEqual([2]);
  });

  test('the mesh at a revision is that of the newest apply before it, whatever else made revisions', () => {
    apply([redis]);
    apply([web], 'other');
    state.join(grant('a', 1, token()));
    apply([redis, web]);
    const names = (revision: number) => state.meshAt('prod', revision).mesh.services.map(({ name }) => name);
    expect([1, 2, 3, 4].map(names)).toEqual([['redis'], ['redis'], ['redis'], ['redis', 'web']]);
    expect(state.meshAt('prod', 3).revision).toBe(1);
    expect(state.meshAt('prod', 4).mesh).toEqual(state.current.networks.get('prod')?.mesh);
    expect(() => state.meshAt('other', 1)).toThrow(expect.objectContaining({ code: 'no-such-revision' }));
    expect(() => state.meshAt('prod', 5)).toThrow(/the newest is 4/);
    expect(() => state.meshAt('nowhere', 1)).toThrow(expect.objectContaining({ code: 'no-such-network' }));
  });

  test('a network that a token made has its first one too', () => {
    token({ network: 'stage' });
    expect(state.revisions('stage', 10)).toEqual([
      { revision: 1, appliedMs: clock, changes: [{ operation: 'add', subject: 'network stage', detail: '' }] },
    ]);
    expect(state.meshAt('stage', 1).mesh.services).toEqual([]);
  });

  test('what is told of an apply is what a person reads', () => {
    apply(Array.from({ length: 250 }, (_, n) => service(`s${n}`, 'private', tcp(1))));
    const many = tcp(...Array.from({ length: 500 }, (_, n) => 2 * n + 1));
    apply([service('wide', 'private', many)], 'other');
    const [prod] = state.revisions('prod', 10);
    expect(prod?.changes).toHaveLength(201);
    expect(prod?.changes.at(-1)).toEqual({ operation: 'change', subject: '51 more', detail: '' });
    const [other] = state.revisions('other', 10);
    expect(other?.changes.at(-1)).toMatchObject({
      subject: 'service wide',
      detail: expect.stringMatching(/^.{999}…$/),
    });
  });

  test('the newest 200 of a network are kept, and the error says from where on', () => {
    apply([web], 'other');
    for (let port = 1; port <= REVISIONS_KEPT + 3; port++) apply([service('redis', 'private', tcp(port))]);
    const kept = state.revisions('prod', 1_000).map(({ revision }) => revision);
    expect([kept.length, kept[0], kept.at(-1)]).toEqual([REVISIONS_KEPT, REVISIONS_KEPT + 4, 5]);
    expect(state.meshAt('prod', 5).mesh.services[0]?.ports).toEqual(tcp(4));
    expect(() => state.meshAt('prod', 4)).toThrow(/not kept; those from revision 5 on are/);
    expect(state.revisions('other', 10)).toHaveLength(1);
  });
});

describe('the audit', () => {
  test('has each change, with who did it, and no secret', () => {
    apply([redis, web]);
    const made = token({ services: ['redis'], host: 'a', reusable: false });
    state.join(grant('a', 1, made));
    state.join(grant('a', 1, made));
    const ephemeral = token({ ephemeral: true });
    const { agent } = state.join(grant('b', 2, ephemeral));
    state.forgetAgent(agent.id);
    state.revokeAgent('prod', 'a', ADMIN);
    state.join(grant('c', 3, ephemeral));
    state.join(grant('d', 4, ephemeral));
    state.revokeToken(ephemeral.id, 'admin 10.0.0.8');
    state.revokeToken(made.id, ADMIN);
    token({ network: 'stage' });
    const told = entries().map(({ sequence, actor, action, network, subject, revision, detail }) =>
      [sequence, actor, action, network, subject, revision, detail].join(' | '),
    );
    const until = new Date(clock + 60_000).toISOString();
    const [a] = [store.read().endedAgents.find(({ host }) => host === 'a')];
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
      `11 | ${ADMIN} | token-revoke | prod | token ${made.id} | 0 | `,
      expect.stringMatching(
        /^12 \| admin 10\.0\.0\.7 \| token-create \| stage \| token \S+ \| 9 \| makes the network; reu/,
      ),
    ]);
    expect(entries().every(({ atMs }) => atMs === clock)).toBe(true);
  });

  test('has nothing of what changed nothing', () => {
    apply([redis]);
    apply([redis]);
    state.apply(mesh({ services: [web] }), { dryRun: true, actor: ADMIN });
    expect(() => apply([{ ...redis, name: 'Bad' }])).toThrow();
    expect(() => state.revokeAgent('prod', 'nobody', ADMIN)).toThrow();
    expect(() => state.revokeToken('tk_0', ADMIN)).toThrow();
    const { agent } = state.join(grant('a', 1, token({ services: ['redis'] })));
    const before = entries().length;
    state.registerInstances(agent.id, ['redis']);
    state.forgetAgent(agent.id);
    expect(entries().length).toBe(before);
  });

  test('is as the change: both on disk, or neither', () => {
    apply([redis]);
    const made = token({ services: ['redis'] });
    state.join(grant('a', 1, made));
    const before = { contents: store.read(), entries: entries(), revisions: state.revisions('prod', 10) };
    /** Breaks each commit at its end, or at the line of the audit. */
    const broken = (fail: 'end' | 'audit'): StateStore => {
      const append: Store['append'] = (expected, writes) =>
        store.append(
          expected,
          fail === 'audit'
            ? writes.map((each) => (each.write === 'addAudit' ? unwritable : each))
            : [...writes, unwritable],
        );
      return openState({ store: { read: () => store.read(), append } as unknown as Store, now });
    };
    for (const failing of [broken('end'), broken('audit')]) {
      const { current } = failing;
      const acts: (() => unknown)[] = [
        () => failing.apply(mesh({ services: [web] }), { dryRun: false, actor: ADMIN }),
        () => failing.apply(mesh({ network: 'new' }), { dryRun: false, actor: ADMIN }),
        () => failing.createToken(made, key(0), 1, ADMIN),
        () => failing.revokeToken(made.id, ADMIN),
        () => failing.revokeAgent('prod', 'a', ADMIN),
        () => failing.join(grant('b', 2, made)),
      ];
      for (const act of acts) expect(act).toThrow('could not write');
      expect(failing.current).toEqual(current);
      expect({ contents: store.read(), entries: entries(), revisions: state.revisions('prod', 10) }).toEqual(before);
    }
  });
});

test('a change and its line are there after a restart', () => {
  apply([redis]);
  const before: Mesh | undefined = state.current.networks.get('prod')?.mesh;
  apply([web]);
  const again = openState({ store, now });
  expect(again.meshAt('prod', 1).mesh).toEqual(before);
  expect(again.revisions('prod', 10)).toEqual(state.revisions('prod', 10));
});
