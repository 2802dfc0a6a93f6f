/** What an older control finds of data whose words it does not know. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Mesh } from '@weft/proto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { mesh, randomBytes, redis, scope } from '../state/state.fixture.ts';
import { openState } from '../state/state.ts';
import type { StateStore, TokenState } from '../state/types.ts';
import { SCHEMA } from './schema.ts';
import { peek, type Schema } from './schema-steps.ts';
import { Store } from './store.ts';
import { refuseOthers } from './upgrade.ts';

/** As a control of before these words, and of before users. */
const BEFORE: Schema = { ...SCHEMA, steps: [] };
const BEFORE_USERS: Schema = { ...SCHEMA, steps: SCHEMA.steps.slice(0, 1) };

let directory: string;
let store: Store;
let state: StateStore;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'weft-needed-'));
  await open();
  await apply({});
});
afterEach(() => {
  store.close();
  rmSync(directory, { recursive: true });
});

async function open(): Promise<void> {
  store = Store.open(directory);
  state = await openState({ store, now: Date.now });
}

const path = () => join(directory, 'control.db');
const apply = (rest: Partial<Mesh>) => state.apply(mesh([redis], rest), { dryRun: false, actor: 'control' });
const rule = (from: string, to: string) => ({
  policies: [{ name: 'shut', action: 'deny' as const, from: [from], to: [to], ports: [] }],
});
const letting = { agents: [{ name: 'a', tags: [], services: ['redis'] }] };
const refused = {
  code: 'too-new',
  message: expect.stringMatching(/newer weft-control \S+ \(schema \d+; this one knows 9\)/),
};
const takenUp = (known: Schema) => {
  // As it lies there once control has stopped.
  store.close();
  try {
    refuseOthers(path(), known);
  } finally {
    store = Store.open(directory);
  }
};

test.each<[string, Partial<Mesh>]>([
  ['a port in `to`', rule('*', 'redis:6379')],
  ['the internet', rule('internet', 'redis')],
  ['what a host may run', letting],
])('%s in a mesh is refused by a control that does not read it, until it is gone', async (_what, rest) => {
  expect(() => takenUp(BEFORE)).not.toThrow();
  state = await openState({ store, now: Date.now });
  await apply(rest);
  expect(() => takenUp(BEFORE)).toThrow(expect.objectContaining(refused));
  expect(() => takenUp(BEFORE_USERS)).not.toThrow();
  state = await openState({ store, now: Date.now });
  await apply({});
  expect(() => takenUp(BEFORE)).not.toThrow();
});

test('a user in a mesh is refused by more of them', async () => {
  await apply(rule('user:mailer', 'redis'));
  expect(() => takenUp(BEFORE_USERS)).toThrow(expect.objectContaining({ code: 'too-new' }));
});

test('what was granted or taken, or came by another token, is refused, and not what a token alone gives', async () => {
  const join = async (host: string, services: string[]) => {
    const token = await state.createToken(scope({ services }), randomBytes(32), 60_000, 'control');
    return (await state.join({ token, host, identityKey: randomBytes(32), tunnelKey: randomBytes(32), version: '' }))
      .agent;
  };
  const needed = async () => (await store.read()).needed;
  const grant = (services: string[], take = false) =>
    state.grantServices('prod', { agent: 'a', services, take }, { dryRun: false, actor: 'control' });
  const a = await join('a', ['redis']);
  expect(await needed()).toBe(9);
  await grant(['web']);
  expect(await needed()).toBe(10);
  await grant(['web'], true);
  expect(await needed()).toBe(9);
  // One of before reads a grant, and gives back what was taken, to a member that lives too.
  await grant(['redis'], true);
  expect(await needed()).toBe(13);
  await state.revokeAgent('prod', a.id, 'control');
  expect(await needed()).toBe(9);
  const c = await join('c', ['redis']);
  const token = await state.createToken(scope({ services: ['web'] }), randomBytes(32), 60_000, 'control');
  await state.join({ ...c, token, version: '' });
  // There a token that only added ends the host.
  expect(await needed()).toBe(13);
  await state.revokeToken(token.id, 'control');
  expect(await needed()).toBe(9);
  await join('b', ['*']);
  expect(await needed()).toBe(10);
  await state.removeNetwork('prod', 'control');
  expect(await needed()).toBe(9);
});

test('a token in the place of another is refused where it would let in who was revoked before', async () => {
  const needed = async () => (await store.read()).needed;
  const make = (rest = {}) => state.createToken(scope({ reusable: true, ...rest }), randomBytes(32), 60_000, 'control');
  const join = (token: TokenState, host: string) =>
    state.join({ token, host, identityKey: randomBytes(32), tunnelKey: randomBytes(32), version: '' });
  const replace = async ({ id }: { readonly id: string }) =>
    (await state.replaceToken(id, randomBytes(32), undefined, 'control')).token;
  const first = await make();
  await join(first, 'a');
  const second = await replace(first);
  // To a control of before it is of after nothing.
  expect(await needed()).toBe(9);
  await state.revokeAgent('prod', 'a', 'control');
  expect(await needed()).toBe(9);
  const third = await replace(second);
  expect(await needed()).toBe(13);
  await state.revokeToken(third.id, 'control');
  expect(await needed()).toBe(9);
});

test('what was taken from a host that was forgotten is refused for as long as a token would give it back', async () => {
  const needed = async () => (await store.read()).needed;
  const make = (rest = {}) => state.createToken(scope({ reusable: true, ...rest }), randomBytes(32), 60_000, 'control');
  const token = await make({ services: ['redis'], ephemeral: true });
  const { agent } = await state.join({
    ...{ token, host: 'a', identityKey: randomBytes(32), tunnelKey: randomBytes(32), version: '' },
  });
  const taking = { agent: 'a', services: ['redis'], take: true };
  await state.grantServices('prod', taking, { dryRun: false, actor: 'control' });
  await state.forgetAgent(agent.id);
  expect(await needed()).toBe(13);
  await state.revokeToken(token.id, 'control');
  expect(await needed()).toBe(9);
});

test('data of before there was a mark gets it at the first start', async () => {
  await apply(letting);
  await store.append((await store.read()).sequence, [{ write: 'setNeeded', row: { needed: 9 } }]);
  state = await openState({ store, now: Date.now });
  await state.beginRun(false);
  expect((await store.read()).needed).toBe(10);
  store.close();
  expect(peek(path())?.needed).toBe(10);
  await open();
});
