import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openAuditLog } from '../audit/log.ts';
import type { JoinedHost } from '../netmap/network.fixture.ts';
import { openState } from '../state/state.ts';
import { Store } from '../store/store.ts';
import { TestControl } from './control.fixture.ts';
import { FakeAgent } from './fake-agent.fixture.ts';
import { prod } from './hub.fixture.ts';

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
  const end = async () => {
    await control[Symbol.asyncDispose]();
    close();
  };
  return { control, state, acts, end };
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
  const next = control.connect(two);
  await next.until(over);
  expect(next.deltas).toEqual([]);
  expect(state.olderData).toMatchObject({ revision: heard, hosts: ['one'] });
  await expect(state.apply({ ...prod, policies: [deny] }, by)).rejects.toMatchObject({ code: 'older-data' });
  expect(state.current.revision).toBe(known);
  expect((await acts())[0]).toBe('older-data-find');
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
  expect((await accepting.acts())[0]).toBe('older-data-accept');
  await accepting.end();
  expect(known).toBeLessThan(heard);
  // One that was away all the while, and is a member here no more, heard as much as the first.
  const later = await run('then');
  const younger = again(later.control, late, third);
  await younger.until(over);
  expect([younger.held?.unknown, younger.revoked]).toEqual([true, undefined]);
  const back = again(later.control, one, served);
  await back.until(({ deltas }) => deltas.length > 0);
  expect(later.state.olderData).toBeUndefined();
});

test('it is seen also once as many changes were made again as were lost', async () => {
  const { one, first, heard } = await restored();
  const { control, state } = await run('then');
  while (state.current.revision <= heard) {
    const tags = [String(state.current.revision)];
    await state.apply({ ...prod, agents: [{ name: 'one', tags: tags.map((tag) => `t${tag}`) }] }, by);
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
  expect(state.olderData?.hosts).toEqual([late.agent.id]);
});
