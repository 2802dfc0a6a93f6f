import { status } from '@grpc/grpc-js';
import { itemKey } from '@weft/proto';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { TestControl } from './control.fixture.ts';
import type { FakeAgent } from './fake-agent.fixture.ts';
import { healthOf, prod, seen } from './hub.fixture.ts';

describe('who is refused', () => {
  test.each([
    [
      'a stranger',
      async (control: TestControl) => ({
        ...(await control.join({ host: 'x' })),
        agent: { ...(await control.join({ host: 'y' })).agent, id: 'ag_none' },
      }),
      status.FAILED_PRECONDITION,
      true,
    ],
    [
      'another’s key',
      async (control: TestControl) => ({
        ...(await control.join({ host: 'x' })),
        agent: (await control.join({ host: 'y' })).agent,
      }),
      status.UNAUTHENTICATED,
      false,
    ],
  ] as const)('%s', async (_who, joining, code, unknown) => {
    await using control = await TestControl.start();
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const agent = control.connect(await joining(control));
    await agent.until((held) => held.status !== undefined);
    expect(agent.status?.code).toBe(code);
    // Whom nobody revoked keeps what it has.
    expect([agent.held?.unknown === true, agent.revoked]).toEqual([unknown, undefined]);
    expect(agent.deltas).toEqual([]);
  });

  test('without end, and the log does not grow with it', async () => {
    const lines: string[] = [];
    const logger = pino({ base: null }, { write: (line) => void lines.push(line) });
    await using control = await TestControl.start({ logger });
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const joined = await control.join({ host: 'x' });
    const stranger = { ...joined, agent: { ...joined.agent, id: 'ag_none' } };
    const strangers = Array.from({ length: 30 }, () => control.connect(stranger));
    await Promise.all(strangers.map((agent) => agent.until((held) => held.status !== undefined)));
    expect(lines.filter((line) => line.includes('hello-refused')).length).toBe(20);

    const member = control.connect(joined);
    await member.until(({ items }) => items.has('self'));
    for (let count = 0; count < 30; count += 1) member.send({ resync: { reason: 'again' } });
    const traced = control.hub.trace(member.id, 'ag_other', 20_000);
    await member.until(({ traces }) => traces.length === 1);
    member.send({ trace: { id: member.traces[0]?.id ?? 0, reachable: true } });
    await traced;
    expect(lines.filter((line) => line.includes('resync-asked')).length).toBe(20);

    const began = performance.now();
    for (let count = 0; count < 30; count += 1) {
      member.stream?.cancel();
      await seen(() => control.hub.fleet.agent(member.id)?.connected === false);
      member.items.clear();
      member.connect();
      await member.until(({ items }) => items.has('self'));
    }
    const most = 21 + (performance.now() - began) / 3_000;
    for (const event of ['agent-connected', 'agent-disconnected']) {
      const { length } = lines.filter((line) => line.includes(event));
      expect(length).toBeGreaterThanOrEqual(20);
      expect(length).toBeLessThanOrEqual(most);
    }
  });

  test('of two hosts with one key, the one that comes the third time; the other stays, and an operator sees both', async () => {
    await using control = await TestControl.start();
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const joined = await control.join({ host: 'one', services: ['web'] });
    const connected = async (agent: FakeAgent): Promise<FakeAgent> => {
      await agent.until(({ items, status: over }) => over === undefined && items.has('self'));
      return agent;
    };
    const one = await connected(control.connect(joined));
    const two = await connected(control.connect(joined));
    await one.until((held) => held.status !== undefined);
    one.items.clear();
    await connected(one.connect());
    await two.until((held) => held.status !== undefined);
    two.connect();
    await two.until((held) => held.held !== undefined);
    expect(two.held).toMatchObject({ retryMs: 300_000, reason: expect.stringMatching(/two hosts.*127.*and.*127/) });
    expect([one.status, control.hub.fleet.agent(joined.agent.id)?.connected]).toEqual([undefined, true]);
    expect(control.hub.fleet.agent(joined.agent.id)?.report?.problems).toMatchObject([{ code: 'agent-twice' }]);
  });

  test('an agent beyond the places for them, until there is one again; those that have one come back to it', async () => {
    await using control = await TestControl.start({ mostAgents: 1 });
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const [one, two] = [await control.join({ host: 'one' }), await control.join({ host: 'two' })];
    const first = control.connect(one);
    await first.until(({ items }) => items.has('self'));
    const beyond = control.connect(two);
    await beyond.until((held) => held.status !== undefined);
    expect(beyond.held?.reason).toMatch(/1 agent/);
    expect(control.hub.fleet.agent(two.agent.id)?.connected ?? false).toBe(false);
    const again = control.connect(one);
    await again.until(({ items }) => items.has('self'));
    again.stream?.cancel();
    await again.until((held) => held.status !== undefined);
    await seen(() => control.hub.fleet.agent(one.agent.id)?.connected === false);
    beyond.connect();
    await beyond.until(({ items }) => items.has('self'));
  });

  test('all but the newest stream of one agent that has not said how it stands', async () => {
    await using control = await TestControl.start();
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const joined = await control.join({ host: 'one' });
    const silent = [1, 2, 3].map(() => control.connect(joined, { standing: false }));
    await Promise.all(silent.slice(0, 2).map((agent) => agent.until((held) => held.status !== undefined)));
    expect(silent.map((agent) => agent.status?.code)).toEqual([status.ABORTED, status.ABORTED, undefined]);
  });

  test('one that says something else first', async () => {
    await using control = await TestControl.start();
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const talkative = control.connect(await control.join({ host: 'one' }));
    talkative.send({ resync: { reason: 'now' } });
    await talkative.until((held) => held.status !== undefined);
    expect(talkative.status?.code).toBe(status.INVALID_ARGUMENT);
  });

  test('one that says no hello in time', async () => {
    await using control = await TestControl.start({ timing: { helloMs: 20 } });
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const silent = control.connect(await control.join({ host: 'one' }));
    silent.stream?.removeAllListeners('data').resume();
    await silent.until((held) => held.status !== undefined);
    expect(silent.status?.code).toBe(status.DEADLINE_EXCEEDED);
  });

  test('a newer stream takes the older one’s place, and nobody is told of a break', async () => {
    await using control = await TestControl.start();
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const [one, two] = [
      await control.join({ host: 'one', services: ['web'] }),
      await control.join({ host: 'two', services: ['redis'] }),
    ];
    const watching = control.connect(two);
    const older = control.connect(one);
    await watching.until((held) => healthOf(held, 'instance/web/0') === true);
    const deltas = watching.deltas.length;
    const newer = control.connect(one);
    await newer.until(({ items }) => items.has('self'));
    await older.until((held) => held.status !== undefined);
    expect(older.status?.code).toBe(status.ABORTED);
    expect(control.hub.fleet.agent(one.agent.id)?.connected).toBe(true);
    expect(watching.deltas.slice(deltas).flatMap(({ upserts }) => upserts.map(itemKey))).not.toContain(
      'instance/web/0',
    );
  });
});
