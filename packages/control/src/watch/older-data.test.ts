import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openAuditLog } from '../audit/log.ts';
import type { JoinedHost } from '../netmap/network.fixture.ts';
import { openState } from '../state/state.ts';
import { Store } from '../store/store.ts';
import { withAppend } from '../store/wrapped.fixture.ts';
import { TestControl } from './control.fixture.ts';
import { FakeAgent } from './fake-agent.fixture.ts';
import { prod } from './hub.fixture.ts';
import { Receipts } from './older-data.ts';

let root: string;
const closers: (() => void)[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'weft-older-'));
});
afterEach(() => {
  for (const close of closers.splice(0)) close();
  rmSync(root, { recursive: true });
});

const deny = { name: 'shut', action: 'deny', from: ['web'], to: ['redis'], ports: [] } as const;
const by = { dryRun: false, actor: 'control' } as const;

/** A run of control on the data in that directory. */
async function run(name: string, more: { readonly acceptOlderData?: boolean } = {}) {
  const store = Store.open(join(root, name));
  let open = true;
  const close = (): void => {
    if (open) store.close();
    open = false;
  };
  closers.push(close);
  const state = await openState({ store, now: Date.now });
  const control = await TestControl.start({ state, ...more });
  const acts = async () =>
    (await openAuditLog({ store, now: Date.now }).list({ network: '', limit: 9 })).map(({ action }) => action);
  const revisions = () => Array.from(state.current.networks.values(), ({ revision }) => revision);
  const end = async () => {
    await control[Symbol.asyncDispose]();
    close();
  };
  return { control, state, store, acts, revisions, end };
}

/** The same agent at another control: with what it holds. */
function again(control: TestControl, joined: JoinedHost, before: FakeAgent): FakeAgent {
  const { items, timeline, index, revision, receipt } = before;
  const agent = Object.assign(new FakeAgent(control.address, new Uint8Array(32).fill(3), joined), {
    items,
    timeline,
    index,
    revision,
    receipt,
  });
  closers.push(() => agent.close());
  return agent.connect();
}

const over = (agent: FakeAgent): boolean => agent.status !== undefined;

/** Two agents that heard a deny, and the data from before it, restored. */
async function restored() {
  for (const name of ['now', 'then']) mkdirSync(join(root, name));
  const before = await run('now');
  await before.state.apply(prod, by);
  const one = await before.control.join({ host: 'one', services: ['web'] });
  const two = await before.control.join({ host: 'two', services: ['redis'] });
  await before.end();
  cpSync(join(root, 'now'), join(root, 'then'), { recursive: true });
  const after = await run('now');
  await after.state.apply({ ...prod, policies: [deny] }, by);
  const first = after.control.connect(one);
  const late = await after.control.join({ host: 'late' });
  const third = after.control.connect(late);
  await third.until(({ items }) => items.has('self'));
  const heard = after.state.current.revision;
  await first.until(({ revision }) => revision === heard);
  await after.end();
  return { one, two, late, first, third, heard };
}

test('data that is older than what an agent heard is handed out to nobody, and is not changed', async () => {
  const { one, two, first, heard } = await restored();
  const { control, state, acts } = await run('then');
  // Which nobody can know yet.
  const trusting = control.connect(two);
  await trusting.until(({ items }) => items.has('self'));
  const known = state.current.revision;
  const told = again(control, one, first);
  await told.until(over);
  await trusting.until(over);
  for (const agent of [told, trusting])
    expect(agent.held?.reason).toContain(`know of revision ${heard}, control of ${known}`);
  expect([told.deltas, told.revoked]).toEqual([[], undefined]);
  // An operator sees that both are there, and why they are not connected.
  for (const { agent } of [one, two]) {
    const { connected, report } = control.hub.fleet.agent(agent.id) ?? {};
    expect([connected, report?.problems]).toMatchObject([false, [{ code: 'held-off', subject: agent.host }]]);
  }
  const next = control.connect(two);
  await next.until(over);
  expect(next.deltas).toEqual([]);
  expect(state.olderData).toMatchObject({ revision: heard, hosts: ['one'] });
  await expect(state.apply({ ...prod, policies: [deny] }, by)).rejects.toMatchObject({ code: 'older-data' });
  expect(state.current.revision).toBe(known);
  expect((await acts())[0]).toBe('older-data-find');
});

test('a copy that lacks nothing but starts of control is no older data, and one that lacks a change is', async () => {
  for (const name of ['now', 'then']) mkdirSync(join(root, name));
  const before = await run('now');
  await before.state.apply(prod, by);
  const one = await before.control.join({ host: 'one', services: ['web'] });
  await before.end();
  cpSync(join(root, 'now'), join(root, 'then'), { recursive: true });
  await (await run('now')).end();
  const after = await run('now');
  const agent = after.control.connect(one);
  await agent.until(({ items }) => items.has('self'));
  const heard = { timeline: agent.timeline, revision: agent.revision, receipt: agent.receipt };
  await after.state.apply({ ...prod, policies: [deny] }, by);
  await agent.until(({ revision }) => revision > heard.revision);
  await after.end();

  const restored = await run('then');
  const served = again(restored.control, one, Object.assign(agent, heard));
  await served.until(({ deltas, status }) => deltas.length > 0 || status !== undefined);
  expect(served.status).toBeUndefined();
  expect(restored.state.olderData).toBeUndefined();
  await restored.state.apply({ ...prod, policies: [] }, by);
  expect(restored.state.compare({ ...heard, revision: heard.revision + 1 })).toBe('newer');
});

test('accepted, it is numbered on above all that was heard, and is not asked about again', async () => {
  const { one, late, first, third, heard } = await restored();
  const accepting = await run('then', { acceptOlderData: true });
  const known = accepting.state.current.revision;
  const told = again(accepting.control, one, first);
  await told.until(over);
  const served = again(accepting.control, one, first);
  await served.until(({ deltas }) => deltas.length > 0);
  expect(served.revision).toBeGreaterThan(heard);
  expect(JSON.stringify(served.items.get('policy'))).not.toContain('shut');
  expect((await accepting.acts()).slice(0, 2)).toEqual(['older-data-give-up', 'older-data-accept']);
  expect(accepting.state.acceptsOlderData).toBe(true);
  await accepting.end();
  expect(known).toBeLessThan(heard);
  // One that was away all the while, and is a member here no more, heard as much as the first.
  const later = await run('then');
  const younger = again(later.control, late, third);
  await younger.until(over);
  expect([younger.held?.unknown, younger.revoked]).toEqual([true, undefined]);
  const back = again(later.control, one, served);
  await back.until(({ deltas }) => deltas.length > 0);
  expect([later.state.olderData, later.state.acceptsOlderData]).toEqual([undefined, false]);
});

test('it is seen also once as many changes were made again as were lost', async () => {
  const { one, first, heard } = await restored();
  const { control, state } = await run('then');
  while (state.current.revision <= heard) {
    const tags = [String(state.current.revision)];
    await state.apply({ ...prod, agents: [{ name: 'one', tags: tags.map((tag) => `t${tag}`), services: [] }] }, by);
  }
  const told = again(control, one, first);
  await told.until(over);
  expect(state.olderData).toMatchObject({ revision: heard });
});

test('an agent that joined after the copy was made tells of it too, and a word without a receipt tells of nothing', async () => {
  const { one, late, first, third } = await restored();
  const { control, state } = await run('then');
  const lying = again(control, one, Object.assign(first, { revision: first.revision + 1_000 }));
  await lying.until(({ deltas }) => deltas.length > 0);
  expect(state.olderData).toBeUndefined();
  const younger = again(control, late, third);
  await younger.until(over);
  // It has not proved to be a member, and so learns no host and no number.
  expect(younger.held).toMatchObject({ unknown: false, reason: expect.not.stringMatching(/revision|host/) });
  // Nor is it believed a name.
  expect(state.olderData?.hosts).toEqual([expect.stringMatching(/^one at 127\.0\.0\.1 that is no member$/)]);
});

/** The data of `restored`, accepted, and told to its first agent; then begun again without the flag. */
async function accepted() {
  const all = await restored();
  const accepting = await run('then', { acceptOlderData: true });
  await again(accepting.control, all.one, all.first).until(over);
  const served = again(accepting.control, all.one, all.first);
  await served.until(({ deltas }) => deltas.length > 0);
  await accepting.end();
  return { ...all, served };
}

/** Is told to come again, and then served. */
async function comesTwice(control: TestControl, joined: JoinedHost, before: FakeAgent): Promise<FakeAgent> {
  await again(control, joined, before).until(over);
  const served = again(control, joined, before);
  await served.until(({ deltas, status }) => deltas.length > 0 || status !== undefined);
  return served;
}

test('once accepted, one that was away and heard still more stops nobody, at a later start either', async () => {
  for (const name of ['now', 'then']) mkdirSync(join(root, name));
  const before = await run('now');
  await before.state.apply(prod, by);
  const one = await before.control.join({ host: 'one', services: ['web'] });
  const away = await before.control.join({ host: 'away', services: ['redis'] });
  await before.end();
  cpSync(join(root, 'now'), join(root, 'then'), { recursive: true });
  const lost = await run('now');
  const first = lost.control.connect(one);
  await first.until(({ items }) => items.has('self'));
  await lost.state.apply({ ...prod, policies: [deny] }, by);
  await first.until(({ revision }) => revision === lost.state.current.revision);
  first.close();
  for (const name of ['two', 'three']) await lost.control.join({ host: name });
  await lost.end();
  // Also what two runs told.
  const further = await run('now');
  await further.control.join({ host: 'four' });
  const most = further.control.connect(away);
  await most.until(({ revision }) => revision === further.state.current.revision);
  await further.end();

  const accepting = await run('then', { acceptOlderData: true });
  await comesTwice(accepting.control, one, first);
  await accepting.end();
  const later = await run('then');
  const late = await comesTwice(later.control, away, most);
  expect(later.state.olderData).toBeUndefined();
  expect([late.status, late.revision > most.revision]).toEqual([undefined, true]);
  expect((await later.acts())[0]).toBe('older-data-give-up');
  // What is said twice makes no number.
  const { revision } = later.state.current;
  await again(later.control, away, most).until(({ deltas }) => deltas.length > 0);
  expect(later.state.current.revision).toBe(revision);
});

test('once accepted, what was told since is not given up: a copy of before, or without it, is older data', async () => {
  const { one, served } = await accepted();
  cpSync(join(root, 'then'), join(root, 'copy'), { recursive: true });
  const current = await run('then');
  await current.state.apply({ ...prod, policies: [deny] }, by);
  const newest = again(current.control, one, served);
  await newest.until(({ revision }) => revision === current.state.current.revision);
  await current.end();
  const restoredAgain = await run('copy');
  await again(restoredAgain.control, one, newest).until(over);
  expect(restoredAgain.state.olderData).toMatchObject({ hosts: ['one'] });
  await restoredAgain.end();
  // The lost branch knows nothing of the acceptance.
  const lost = await run('now');
  await again(lost.control, one, served).until(over);
  expect(lost.state.olderData).toMatchObject({ hosts: ['one'] });
});

test('a receipt of what was given up stops nobody, whoever shows it', async () => {
  const { late, third } = await accepted();
  const { control, state } = await run('then');
  const revision = state.current.revision + 5;
  const receipt = new Receipts('of a test').of(third.timeline, revision);
  const stranger = again(control, late, Object.assign(third, { revision, receipt }));
  await stranger.until(over);
  expect([stranger.held?.unknown, state.olderData]).toEqual([true, undefined]);
});

test('all networks are numbered on at once, or none', async () => {
  const { one, first, heard } = await restored();
  const accepting = await run('then', { acceptOlderData: true });
  await accepting.state.apply({ ...prod, network: 'stage' }, by);
  const known = accepting.revisions();
  let disk = 1;
  const broken = await openState({
    store: withAppend(accepting.store, async (expected, writes) => {
      // The disk takes one more change, and not two.
      disk -= 1;
      if (disk < 0) throw new Error('disk full');
      return await accepting.store.append(expected, writes);
    }),
    now: Date.now,
  });
  const said = { timeline: first.timeline, revision: heard + 5 };
  await broken.numberOn('one', said).catch(() => undefined);
  const after = accepting.store.read().then(({ networks }) => networks.map(({ revision }) => revision > heard + 5));
  expect(await after).toEqual([true, true]);
  expect([known.length, broken.compare(said)]).toEqual([2, 'known']);
  // Each network's audit says what was done to it.
  const audit = openAuditLog({ store: accepting.store, now: Date.now });
  for (const network of ['prod', 'stage']) {
    const [last] = await audit.list({ network, limit: 1 });
    expect(last).toMatchObject({ action: 'older-data-give-up', network });
  }
  expect(one.agent.host).toBe('one');
});

test('that a token was revoked is heard of, though nobody had joined with it', async () => {
  for (const name of ['now', 'then']) mkdirSync(join(root, name));
  const before = await run('now');
  await before.state.apply(prod, by);
  const one = await before.control.join({ host: 'one' });
  const scope = { network: 'prod', services: [], host: '', roles: [], reusable: true, ephemeral: false };
  const token = await before.state.createToken(scope, new Uint8Array(32), 86_400_000, 'control');
  const agent = before.control.connect(one);
  await agent.until(({ items }) => items.has('self'));
  cpSync(join(root, 'now'), join(root, 'then'), { recursive: true });
  await before.state.revokeToken(token.id, 'control');
  await agent.until(({ revision }) => revision === before.state.current.revision);
  await before.end();
  const { control, state } = await run('then');
  await again(control, one, agent).until(over);
  expect(state.olderData).toMatchObject({ hosts: ['one'] });
});
