import { status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { current, mesh, rule, service, tcp } from '../netmap/network.fixture.ts';
import { openState } from '../state/state.ts';
import { Store } from '../store/store.ts';
import { withAppend } from '../store/wrapped.fixture.ts';
import { TestControl } from './control.fixture.ts';
import { reportOf } from './fake-agent.fixture.ts';
import { denying, healthOf, NEVER, prod, seen, services } from './hub.fixture.ts';

describe('a change', () => {
  test('that takes away goes out at once, one that does not is gathered', async () => {
    await using control = await TestControl.start({ timing: { gatherMs: 50 } });
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const agent = control.connect(await control.join({ host: 'one', services: ['web'] }));
    await agent.until(({ items }) => items.has('instance/web/0'));
    const before = agent.deltas.length;
    await control.state.apply(mesh({ services: [...services, service('a', 'private', tcp(1))] }), {
      dryRun: false,
      actor: 'control',
    });
    await control.state.apply(
      mesh({ services: [...services, service('b', 'private', tcp(1)), service('a', 'private', tcp(1))] }),
      { dryRun: false, actor: 'control' },
    );
    await agent.until(({ items }) => items.has('service/b'));
    expect(agent.deltas.length).toBe(before + 1);
  });

  test('is waited for until every connected agent enforces it, and stragglers are named', async () => {
    await using control = await TestControl.start();
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const quick = control.connect(await control.join({ host: 'quick' }));
    const slow = control.connect(await control.join({ host: 'slow' }), { acknowledge: false });
    await control.join({ host: 'absent' });
    await Promise.all([quick, slow].map((agent) => agent.until(({ items }) => items.has('self'))));
    const { revision } = await control.state.apply(denying('x'), { dryRun: false, actor: 'control' });
    await seen(() => control.hub.fleet.agent(quick.id)?.enforcedRevision === revision);
    expect(await control.hub.fleet.waitEnforced('prod', revision, 20, NEVER)).toEqual(['slow']);

    const waiting = control.hub.fleet.waitEnforced('prod', revision, 20_000, NEVER);
    await slow.until((held) => held.revision === revision);
    slow.send({ ack: { timeline: 'another', index: slow.index, revision, kept: true } });
    slow.send({ ack: { timeline: slow.timeline, index: slow.index + 1, revision: revision + 1, kept: true } });
    slow.send({ ack: { timeline: slow.timeline, index: slow.index, revision, kept: true } });
    expect(await waiting).toEqual([]);
    expect(control.hub.fleet.agent(slow.id)?.enforcedRevision).toBe(revision);
  });

  test('that denies does not wait for a new instance to be written down', async () => {
    const store = Store.inMemory();
    let hangs: boolean = false;
    const append: Store['append'] = (expected, writes) =>
      hangs && writes.some(({ write }) => write === 'addInstance')
        ? new Promise(() => undefined)
        : store.append(expected, writes);
    const state = await openState({ store: withAppend(store, append), now: Date.now });
    await using control = await TestControl.start({ state });
    await state.apply(mesh({ services: [] }), { dryRun: false, actor: 'control' });
    const runs = { report: reportOf(['redis']) };
    const agent = control.connect(await control.join({ host: 'one', services: ['redis', 'web'] }), runs);
    await agent.until(({ items }) => items.has('self'));
    hangs = true;
    const { revision } = await state.apply(denying('x'), { dryRun: false, actor: 'control' });
    expect(await control.hub.fleet.waitEnforced('prod', revision, 20_000, NEVER)).toEqual([]);
    expect([agent.items.has('service/redis'), agent.items.has('instance/redis/0')]).toEqual([true, false]);
  });

  test('is not waited for once the straggler goes away', async () => {
    await using control = await TestControl.start();
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const slow = control.connect(await control.join({ host: 'slow' }), { acknowledge: false });
    await slow.until(({ items }) => items.has('self'));
    const { revision } = await control.state.apply(denying('x'), { dryRun: false, actor: 'control' });
    const waiting = control.hub.fleet.waitEnforced('prod', revision, 20_000, NEVER);
    slow.close();
    expect(await waiting).toEqual([]);
    const end = new AbortController();
    end.abort(new Error('gone'));
    await expect(control.hub.fleet.waitEnforced('prod', revision, 20_000, end.signal)).rejects.toThrow('gone');
  });

  test('reaches a reader that stalled as its newest state, with what was between left out', async () => {
    await using control = await TestControl.start();
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const agent = control.connect(await control.join({ host: 'one', services: ['web'] }));
    await agent.until(({ items }) => items.has('instance/web/0'));
    agent.stream?.pause();
    const before = agent.deltas.length;
    const rounds = 150;
    for (let round = 1; round <= rounds; round += 1) {
      const policies = Array.from({ length: 300 }, (_, index) =>
        rule(`r-${round}-${index}`, 'deny', ['web'], ['redis'], tcp(1 + index)),
      );
      await control.state.apply(mesh({ services, policies }), { dryRun: false, actor: 'control' });
      await new Promise((resolve) => setImmediate(resolve));
    }
    agent.stream?.resume();
    const { revision } = current(control.state);
    await agent.until((held) => held.revision === revision);
    expect(agent.items.get('policy')).toMatchObject({
      rules: expect.arrayContaining([expect.objectContaining({ name: `r-${rounds}-0` })]),
    });
    expect(agent.deltas.length - before).toBeLessThan(rounds / 2);
  });

  test('is told to a few agents a turn, and everyone ends with the newest', async () => {
    await using control = await TestControl.start({ timing: { sliceMs: 0 } });
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const hosts = await Promise.all(['a', 'b', 'c', 'd'].map((host) => control.join({ host, services: ['web'] })));
    const agents = hosts.map((joined) => control.connect(joined));
    await Promise.all(agents.map((agent) => agent.until((held) => healthOf(held, 'instance/web/3') === true)));
    const late = control.connect(await control.join({ host: 'late' }));
    // Each change finds the one before half told: with a slice of nothing, one agent is told each turn of the loop.
    for (let round = 0; round < 20; round += 1) {
      await control.state.apply(denying(`r${round}`), { dryRun: false, actor: 'control' });
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { revision } = current(control.state);
    await Promise.all([...agents, late].map((agent) => agent.until((held) => held.revision === revision)));
    for (const agent of agents) expect(agent.items.get('policy')).toMatchObject({ rules: [{ name: 'r19' }] });
    expect(
      Math.max(...agents.map(({ deltas }) => deltas.filter(({ revision: of }) => of > revision - 20).length)),
    ).toBeLessThan(20);
  });

  test('of membership: a revoked agent is told and cut, and others lose it', async () => {
    await using control = await TestControl.start({ timing: { gatherMs: 60_000 } });
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const [one, two] = [
      await control.join({ host: 'one', services: ['web'] }),
      await control.join({ host: 'two', services: ['redis'] }),
    ];
    const revoked = control.connect(one);
    const other = control.connect(two);
    await seen(() => [one, two].every(({ agent }) => control.hub.fleet.agent(agent.id)?.connected === true));
    // Nothing gathered goes out within this test: what arrives was sent at once, since it takes something away.
    await control.state.apply(denying('x'), { dryRun: false, actor: 'control' });
    await other.until(({ items }) => items.has('policy'));
    expect(other.items.has('instance/web/0')).toBe(true);
    await control.state.revokeAgent('prod', 'one', 'control');
    await revoked.until((held) => held.status !== undefined);
    expect(revoked.revoked).toContain('revoked');
    expect(revoked.status?.code).toBe(status.PERMISSION_DENIED);
    const { revision } = current(control.state);
    await other.until((held) => held.revision === revision);
    expect(
      [...other.items.keys()].filter((key) => key === `peer/${one.agent.id}` || key.startsWith('instance/web')),
    ).toEqual([]);
    const again = control.connect(one);
    await again.until((held) => held.status !== undefined);
    expect(again.revoked).toContain('revoked');
  });
});
