import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { current, emptyState, joinHost, mesh, service, tcp } from '../netmap/network.fixture.ts';
import type { Presence } from '../netmap/presence.ts';
import { reportOf } from '../watch/fake-agent.fixture.ts';
import { Fleet } from './fleet.ts';
import { NO_MEMORY, type Remembered, type ReportMemory } from './memory.ts';
import { notKept } from './projection.ts';
import { TIMING } from './timing.ts';

const SOFTWARE = { version: '1.0.0', capability: 2 };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

async function setUp(ephemeral: boolean, memory: ReportMemory = NO_MEMORY) {
  const state = await emptyState();
  await state.apply(mesh({ services: [service('redis', 'private', tcp(6379))] }), { dryRun: false, actor: 'control' });
  const { id } = (await joinHost(state, 'prod', { host: 'one', services: ['redis'], ephemeral })).agent;
  await state.registerInstances(id, ['redis']);
  const forgotten: string[] = [];
  const changes: string[] = [];
  const shown = new Map<string, Presence>();
  const lags: number[] = [];
  const registry = new Fleet(state.current, {
    timing: TIMING,
    now: Date.now,
    memory,
    onPresence: (agent, presence) => {
      changes.push(agent.network);
      if (presence === undefined) shown.delete(agent.id);
      else shown.set(agent.id, presence);
    },
    onForgotten: (agentId) => forgotten.push(agentId),
    onEnforced: (afterMs) => lags.push(afterMs),
  });
  const healthy = (): boolean | undefined => registry.instance(id, 'redis')?.healthy;
  return { state, registry, id, forgotten, changes, shown, lags, healthy };
}

test('after a start of control an agent is taken to be well for 30 s', async () => {
  const { healthy, registry, id } = await setUp(false);
  expect([healthy(), registry.agent(id)?.connected]).toEqual([true, false]);
  vi.advanceTimersByTime(29_000);
  expect(healthy()).toBe(true);
  vi.advanceTimersByTime(2_000);
  expect(healthy()).toBe(false);
});

test('a disconnected agent keeps its health for 15 s, and one that is back in time is never called unwell', async () => {
  const { healthy, registry, id, changes } = await setUp(false);
  registry.connected(id, SOFTWARE, reportOf(['redis']), '10.0.0.7');
  vi.advanceTimersByTime(60_000);
  expect(healthy()).toBe(true);
  registry.disconnected(id);
  vi.advanceTimersByTime(14_000);
  changes.length = 0;
  registry.connected(id, SOFTWARE, reportOf(['redis']), '10.0.0.7');
  vi.advanceTimersByTime(60_000);
  expect([healthy(), changes]).toEqual([true, []]);
  registry.disconnected(id);
  vi.advanceTimersByTime(15_000);
  expect([healthy(), changes]).toEqual([false, ['prod']]);
});

test('an ephemeral agent is forgotten 30 s after it went away, whether it had connected since the start or not', async () => {
  const { registry, id, forgotten } = await setUp(true);
  registry.connected(id, SOFTWARE, reportOf(['redis']), '10.0.0.7');
  vi.advanceTimersByTime(120_000);
  registry.disconnected(id);
  vi.advanceTimersByTime(29_000);
  expect(forgotten).toEqual([]);
  vi.advanceTimersByTime(1_000);
  expect(forgotten).toEqual([id]);
  const never = await setUp(true);
  vi.advanceTimersByTime(30_000);
  expect(never.forgotten).toEqual([never.id]);
});

test('one that comes to be ephemeral while it is away is forgotten from then on', async () => {
  const { state, registry, id, forgotten } = await setUp(false);
  vi.advanceTimersByTime(120_000);
  const before = current(state);
  const agents = new Map([...before.agents].map(([key, agent]) => [key, { ...agent, ephemeral: true }]));
  registry.follow({ ...before, agents }, before);
  vi.advanceTimersByTime(30_000);
  expect(forgotten).toEqual([id]);
});

test('what an agent understands is kept over a start of control, whether it has reported or not', async () => {
  let kept: ReadonlyMap<string, Remembered> = new Map();
  const memory: ReportMemory = {
    load: () => kept,
    save: (agents) => {
      kept = agents;
    },
  };
  const { state, registry, id } = await setUp(false, memory);
  const restarted = (): Fleet =>
    new Fleet(state.current, {
      timing: TIMING,
      now: Date.now,
      memory,
      onPresence: () => undefined,
      onForgotten: () => undefined,
      onEnforced: () => undefined,
    });
  vi.advanceTimersByTime(2_000);
  registry.joined(id, 2);
  vi.advanceTimersByTime(2_000);
  const joined = restarted();
  expect([joined.agent(id)?.capability, joined.instance(id, 'redis')?.healthy]).toEqual([2, true]);
  registry.connected(id, SOFTWARE, reportOf(['redis']), '10.0.0.7');
  vi.advanceTimersByTime(2_000);
  registry.connected(id, { ...SOFTWARE, capability: 3 }, reportOf(['redis']), '10.0.0.7');
  vi.advanceTimersByTime(2_000);
  expect(restarted().agent(id)?.capability).toBe(3);
});

test('when an agent was last heard is kept over a start of control, to the minute where it was killed', async () => {
  let kept: ReadonlyMap<string, Remembered> = new Map();
  const memory: ReportMemory = {
    load: () => kept,
    save: (agents) => {
      kept = agents;
    },
  };
  const { state, registry, id } = await setUp(false, memory);
  const restarted = () =>
    new Fleet(state.current, {
      timing: TIMING,
      now: Date.now,
      memory,
      onPresence: () => undefined,
      onForgotten: () => undefined,
      onEnforced: () => undefined,
    }).agent(id);
  expect(restarted()?.lastSeenMs).toBe(0);
  registry.connected(id, SOFTWARE, reportOf(['redis']), '10.0.0.7');
  vi.advanceTimersByTime(3_600_000);
  registry.heard(id);
  vi.advanceTimersByTime(60_000);
  expect(restarted()).toMatchObject({ connected: false, lastSeenMs: Date.now() - 60_000 });
  registry.heard(id);
  registry.close();
  expect(restarted()?.lastSeenMs).toBe(Date.now());
});

test('one that is no member any more leaves nothing behind', async () => {
  const { state, registry, id, forgotten, shown } = await setUp(true);
  expect(shown.size).toBe(1);
  const before = current(state);
  await state.revokeAgent('prod', 'one', 'control');
  registry.follow(current(state), before);
  expect([registry.agent(id), registry.instance(id, 'redis'), shown.size]).toEqual([undefined, undefined, 0]);
  vi.advanceTimersByTime(120_000);
  expect(forgotten).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});

test('an agent is behind since a revision came out that it has not acknowledged', async () => {
  const { state, registry, id, lags } = await setUp(false);
  const publish = async (name: string): Promise<number> => {
    const before = current(state);
    const services = [service('redis', 'private', tcp(6379)), service(name, 'private', tcp(1))];
    const { revision } = await state.apply(mesh({ services }), { dryRun: false, actor: 'control' });
    registry.follow(current(state), before);
    return revision;
  };
  const behindSince = (): number | undefined => registry.agent(id)?.behindSinceMs;
  vi.advanceTimersByTime(60_000);
  registry.connected(id, SOFTWARE, reportOf(['redis']), '10.0.0.7');
  // It may have held this one all along: what counts is how long it takes to say so.
  expect(behindSince()).toBe(Date.now());
  vi.advanceTimersByTime(20);
  registry.enforced(id, current(state).revision, true);
  expect([behindSince(), lags]).toEqual([0, []]);

  const firstMs = Date.now();
  const first = await publish('a');
  vi.advanceTimersByTime(1_000);
  const secondMs = Date.now();
  const second = await publish('b');
  vi.advanceTimersByTime(500);
  expect(behindSince()).toBe(firstMs);
  registry.enforced(id, first, true);
  expect([behindSince(), lags]).toEqual([secondMs, [1_500]]);
  registry.enforced(id, second, true);
  registry.enforced(id, second, true);
  expect([behindSince(), lags]).toEqual([0, [1_500, 500]]);

  registry.disconnected(id);
  vi.advanceTimersByTime(5_000);
  const thirdMs = Date.now();
  const third = await publish('c');
  expect(behindSince()).toBe(thirdMs);
  vi.advanceTimersByTime(5_000);
  registry.connected(id, SOFTWARE, reportOf(['redis']), '10.0.0.7');
  expect(behindSince()).toBe(Date.now());
  registry.enforced(id, third, true);
  expect([behindSince(), lags.length]).toEqual([0, 2]);
});

test('an agent enforces a revision since it first acknowledged it, whether it was away in between or not', async () => {
  const { state, registry, id } = await setUp(false);
  const { revision } = current(state);
  const since = (): number | undefined => registry.agent(id)?.enforcedSinceMs;
  registry.connected(id, SOFTWARE, reportOf(['redis']), '10.0.0.7');
  expect(since()).toBe(0);
  vi.advanceTimersByTime(20);
  const firstMs = Date.now();
  registry.enforced(id, revision, true);
  vi.advanceTimersByTime(60_000);
  registry.disconnected(id);
  registry.connected(id, SOFTWARE, reportOf(['redis']), '10.0.0.7');
  expect(since()).toBe(0);
  registry.enforced(id, revision, true);
  expect(since()).toBe(firstMs);
  vi.advanceTimersByTime(5_000);
  registry.enforced(id, revision + 1, true);
  expect(since()).toBe(Date.now());
});

test('an agent that enforces and cannot write it down is named until it can', async () => {
  const { registry, state, id } = await setUp(false);
  const { revision } = current(state);
  registry.connected(id, SOFTWARE, reportOf([]), '10.0.0.7');
  registry.enforced(id, revision, false);
  expect(notKept(current(state), registry, revision)).toEqual(['one']);
  registry.enforced(id, revision, true);
  expect(notKept(current(state), registry, revision)).toEqual([]);
});
