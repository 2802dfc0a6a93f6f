import { status } from '@grpc/grpc-js';
import { flowToWire } from '@weft/proto/wire';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import type { Remembered } from '../fleet/memory.ts';
import { current, emptyState, joinHost, mesh, rule, service, tcp } from '../netmap/network.fixture.ts';
import { view } from '../netmap/view.fixture.ts';
import { TestControl } from './control.fixture.ts';
import { type FakeAgent, reportOf } from './fake-agent.fixture.ts';

const services = [
  service('web', 'web', tcp(3000)),
  service('redis', 'private', tcp(6379)),
  service('mailer', 'worker'),
];
const prod = mesh({ services });
const denying = (name: string) => mesh({ services, policies: [rule(name, 'deny', ['web'], ['redis'])] });
const NEVER = new AbortController().signal;

const healthOf = (agent: FakeAgent, key: string): boolean | undefined => {
  const item = agent.items.get(key);
  return item?.type === 'instance' ? item.healthy : undefined;
};

describe('an agent that connects', () => {
  test('gets a snapshot of its view, and others get it as a peer with its endpoints', async () => {
    await using control = await TestControl.start();
    control.state.apply(prod, { dryRun: false, actor: 'control' });
    const [one, two] = [
      control.join({ host: 'one', services: ['web'] }),
      control.join({ host: 'two', services: ['redis'] }),
    ];
    const first = control.connect(one, { report: reportOf(['web'], { endpoints: ['one.example:7410'] }) });
    await first.until(({ items }) => items.has('instance/web/0'));
    expect(first.deltas[0]).toMatchObject({ snapshot: true, previous: 0, index: 1 });
    const second = control.connect(two);
    await second.until(({ items }) => items.has(`peer/${one.agent.id}`) && items.has('instance/redis/0'));
    await first.until((agent) => healthOf(agent, 'instance/redis/0') === true);
    expect(second.items.get(`peer/${one.agent.id}`)).toMatchObject({ endpoints: ['one.example:7410'] });
    // It named none, so what control sees is all there is.
    expect(first.items.get(`peer/${two.agent.id}`)).toMatchObject({ endpoints: ['127.0.0.1:7410'] });
    expect(control.hub.fleet.agent(one.agent.id)).toMatchObject({ connected: true, version: '1.2.3' });
  });

  test('learns nothing of another network', async () => {
    await using control = await TestControl.start();
    control.state.apply(prod, { dryRun: false, actor: 'control' });
    control.state.apply(mesh({ network: 'other', services }), { dryRun: false, actor: 'control' });
    const mine = control.connect(control.join({ host: 'one', services: ['web', 'redis'] }));
    const theirs = control.connect(control.join({ host: 'one', services: ['web', 'redis'] }, 'other'), {});
    await mine.until(({ items }) => items.has('instance/redis/0'));
    await theirs.until(({ items }) => items.has('instance/redis/0'));
    for (const [agent, other] of [
      [mine, theirs],
      [theirs, mine],
    ] as const) {
      const text = JSON.stringify([...agent.items.values()]);
      expect(text).not.toContain(other.id);
      expect([...agent.items.keys()].some((key) => key.startsWith('peer/'))).toBe(false);
    }
  });

  test('is not believed about services that its token does not allow', async () => {
    await using control = await TestControl.start();
    control.state.apply(prod, { dryRun: false, actor: 'control' });
    const agent = control.connect(control.join({ host: 'one', services: ['web'] }), {
      report: reportOf(['web', 'redis']),
    });
    await agent.until(({ items }) => items.has('instance/web/0'));
    expect(current(control.state).instances.has('redis/0')).toBe(false);
    expect(control.hub.fleet.agent(agent.id)?.report).toMatchObject({
      instances: [{ service: 'web' }],
      problems: [{ code: 'service-not-allowed', subject: 'redis' }],
    });
  });

  test('gets its instance when the mesh comes to declare what it runs', async () => {
    await using control = await TestControl.start();
    control.state.apply(mesh({ services: [] }), { dryRun: false, actor: 'control' });
    const agent = control.connect(control.join({ host: 'one', services: ['web'] }));
    await agent.until(({ items }) => items.has('self'));
    control.state.apply(prod, { dryRun: false, actor: 'control' });
    await agent.until((held) => healthOf(held, 'instance/web/0') === true);
  });
});

describe('who is refused', () => {
  test.each([
    [
      'a stranger',
      (control: TestControl) => ({
        ...control.join({ host: 'x' }),
        agent: { ...control.join({ host: 'y' }).agent, id: 'ag_none' },
      }),
      status.PERMISSION_DENIED,
      true,
    ],
    [
      'another’s key',
      (control: TestControl) => ({ ...control.join({ host: 'x' }), agent: control.join({ host: 'y' }).agent }),
      status.UNAUTHENTICATED,
      false,
    ],
  ] as const)('%s', async (_who, joining, code, revoked) => {
    await using control = await TestControl.start();
    control.state.apply(prod, { dryRun: false, actor: 'control' });
    const agent = control.connect(joining(control));
    await agent.until((held) => held.status !== undefined);
    expect(agent.status?.code).toBe(code);
    expect(agent.revoked !== undefined).toBe(revoked);
    expect(agent.deltas).toEqual([]);
  });

  test('without end, and the log does not grow with it', async () => {
    const lines: string[] = [];
    const logger = pino({ base: null }, { write: (line) => void lines.push(line) });
    await using control = await TestControl.start({ logger });
    control.state.apply(prod, { dryRun: false, actor: 'control' });
    const joined = control.join({ host: 'x' });
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
  });

  test('one that says something else first', async () => {
    await using control = await TestControl.start();
    control.state.apply(prod, { dryRun: false, actor: 'control' });
    const talkative = control.connect(control.join({ host: 'one' }));
    talkative.send({ resync: { reason: 'now' } });
    await talkative.until((held) => held.status !== undefined);
    expect(talkative.status?.code).toBe(status.INVALID_ARGUMENT);
  });

  test('one that says no hello in time', async () => {
    await using control = await TestControl.start({ timing: { helloMs: 20 } });
    control.state.apply(prod, { dryRun: false, actor: 'control' });
    const silent = control.connect(control.join({ host: 'one' }));
    silent.stream?.removeAllListeners('data').resume();
    await silent.until((held) => held.status !== undefined);
    expect(silent.status?.code).toBe(status.DEADLINE_EXCEEDED);
  });

  test('a newer stream takes the older one’s place, and nobody is told of a break', async () => {
    await using control = await TestControl.start();
    control.state.apply(prod, { dryRun: false, actor: 'control' });
    const [one, two] = [
      control.join({ host: 'one', services: ['web'] }),
      control.join({ host: 'two', services: ['redis'] }),
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
    expect(watching.deltas.slice(deltas).flatMap(({ upserts }) => upserts.map(({ key }) => key))).not.toContain(
      'instance/web/0',
    );
  });
});

describe('a change', () => {
  test('that takes away goes out at once, one that does not is gathered', async () => {
    await using control = await TestControl.start({ timing: { gatherMs: 50 } });
    control.state.apply(prod, { dryRun: false, actor: 'control' });
    const agent = control.connect(control.join({ host: 'one', services: ['web'] }));
    await agent.until(({ items }) => items.has('instance/web/0'));
    const before = agent.deltas.length;
    control.state.apply(mesh({ services: [...services, service('a', 'private', tcp(1))] }), {
      dryRun: false,
      actor: 'control',
    });
    control.state.apply(
      mesh({ services: [...services, service('b', 'private', tcp(1)), service('a', 'private', tcp(1))] }),
      { dryRun: false, actor: 'control' },
    );
    await agent.until(({ items }) => items.has('service/b'));
    expect(agent.deltas.length).toBe(before + 1);
  });

  test('is waited for until every connected agent enforces it, and stragglers are named', async () => {
    await using control = await TestControl.start();
    control.state.apply(prod, { dryRun: false, actor: 'control' });
    const quick = control.connect(control.join({ host: 'quick' }));
    const slow = control.connect(control.join({ host: 'slow' }), { acknowledge: false });
    control.join({ host: 'absent' });
    await Promise.all([quick, slow].map((agent) => agent.until(({ items }) => items.has('self'))));
    const { revision } = control.state.apply(denying('x'), { dryRun: false, actor: 'control' });
    await seen(() => control.hub.fleet.agent(quick.id)?.enforcedRevision === revision);
    expect(await control.hub.fleet.waitEnforced('prod', revision, 20, NEVER)).toEqual(['slow']);

    const waiting = control.hub.fleet.waitEnforced('prod', revision, 20_000, NEVER);
    await slow.until((held) => held.revision === revision);
    slow.send({ ack: { timeline: 'another', index: slow.index, revision } });
    slow.send({ ack: { timeline: slow.timeline, index: slow.index + 1, revision: revision + 1 } });
    slow.send({ ack: { timeline: slow.timeline, index: slow.index, revision } });
    expect(await waiting).toEqual([]);
    expect(control.hub.fleet.agent(slow.id)?.enforcedRevision).toBe(revision);
  });

  test('is not waited for once the straggler goes away', async () => {
    await using control = await TestControl.start();
    control.state.apply(prod, { dryRun: false, actor: 'control' });
    const slow = control.connect(control.join({ host: 'slow' }), { acknowledge: false });
    await slow.until(({ items }) => items.has('self'));
    const { revision } = control.state.apply(denying('x'), { dryRun: false, actor: 'control' });
    const waiting = control.hub.fleet.waitEnforced('prod', revision, 20_000, NEVER);
    slow.close();
    expect(await waiting).toEqual([]);
    const end = new AbortController();
    end.abort(new Error('gone'));
    await expect(control.hub.fleet.waitEnforced('prod', revision, 20_000, end.signal)).rejects.toThrow('gone');
  });

  test('reaches a reader that stalled as its newest state, with what was between left out', async () => {
    await using control = await TestControl.start();
    control.state.apply(prod, { dryRun: false, actor: 'control' });
    const agent = control.connect(control.join({ host: 'one', services: ['web'] }));
    await agent.until(({ items }) => items.has('instance/web/0'));
    agent.stream?.pause();
    const before = agent.deltas.length;
    const rounds = 150;
    for (let round = 1; round <= rounds; round += 1) {
      const policies = Array.from({ length: 300 }, (_, index) =>
        rule(`r-${round}-${index}`, 'deny', ['web'], ['redis'], tcp(1 + index)),
      );
      control.state.apply(mesh({ services, policies }), { dryRun: false, actor: 'control' });
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
    control.state.apply(prod, { dryRun: false, actor: 'control' });
    const hosts = ['a', 'b', 'c', 'd'].map((host) => control.join({ host, services: ['web'] }));
    const agents = hosts.map((joined) => control.connect(joined));
    await Promise.all(agents.map((agent) => agent.until((held) => healthOf(held, 'instance/web/3') === true)));
    const late = control.connect(control.join({ host: 'late' }));
    // Each change finds the one before half told: with a slice of nothing, one agent is told each turn of the loop.
    for (let round = 0; round < 20; round += 1) {
      control.state.apply(denying(`r${round}`), { dryRun: false, actor: 'control' });
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
    control.state.apply(prod, { dryRun: false, actor: 'control' });
    const [one, two] = [
      control.join({ host: 'one', services: ['web'] }),
      control.join({ host: 'two', services: ['redis'] }),
    ];
    const revoked = control.connect(one);
    const other = control.connect(two);
    await seen(() => [one, two].every(({ agent }) => control.hub.fleet.agent(agent.id)?.connected === true));
    // Nothing gathered goes out within this test: what arrives was sent at once, since it takes something away.
    control.state.apply(denying('x'), { dryRun: false, actor: 'control' });
    await other.until(({ items }) => items.has('policy'));
    expect(other.items.has('instance/web/0')).toBe(true);
    control.state.revokeAgent('prod', 'one', 'control');
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

describe('a break', () => {
  test('is resumed with the difference alone', async () => {
    await using control = await TestControl.start();
    control.state.apply(prod, { dryRun: false, actor: 'control' });
    const joined = control.join({ host: 'one', services: ['web'] });
    const agent = control.connect(joined);
    await agent.until((held) => healthOf(held, 'instance/web/0') === true);
    agent.stream?.cancel();
    await agent.until((held) => held.status !== undefined);
    control.state.apply(denying('meanwhile'), { dryRun: false, actor: 'control' });
    agent.connect();
    const { revision } = current(control.state);
    await agent.until((held) => held.revision === revision);
    expect(agent.deltas[0]).toMatchObject({ snapshot: false, removals: [] });
    expect(agent.deltas[0]?.upserts.map(({ key }) => key)).toEqual(['policy']);
  });

  test('of control too: nothing flaps, and what it remembered is not taken back', async () => {
    const state = emptyState();
    let remembered: ReadonlyMap<string, Remembered> = new Map();
    const memory = { load: () => remembered, save: (agents: ReadonlyMap<string, Remembered>) => (remembered = agents) };
    state.apply(prod, { dryRun: false, actor: 'control' });
    const [one, two] = [
      joinHost(state, 'prod', { host: 'one', services: ['web'] }),
      joinHost(state, 'prod', { host: 'two', services: ['redis'] }),
    ];
    let items: FakeAgent['items'];
    {
      await using control = await TestControl.start({ state, memory });
      const agent = control.connect(one);
      control.connect(two, { report: reportOf(['redis'], { endpoints: ['two.example:7410'] }) });
      await agent.until((held) => healthOf(held, 'instance/redis/0') === true);
      ({ items } = agent);
    }
    await using control = await TestControl.start({ state, memory });
    const back = control.connect(one);
    back.items = new Map(items);
    back.index = 40;
    await back.until(({ deltas }) => deltas.length > 0);
    expect(back.deltas[0]).toMatchObject({ snapshot: false, previous: 40, index: 41, upserts: [], removals: [] });
    expect(back.items.get(`peer/${two.agent.id}`)).toMatchObject({ endpoints: ['two.example:7410'] });
  });

  test('in the agent’s count is answered with a snapshot', async () => {
    await using control = await TestControl.start();
    control.state.apply(prod, { dryRun: false, actor: 'control' });
    const agent = control.connect(control.join({ host: 'one', services: ['web'] }));
    await agent.until((held) => healthOf(held, 'instance/web/0') === true);
    agent.index += 7;
    agent.items.delete('service/redis');
    control.state.apply(denying('x'), { dryRun: false, actor: 'control' });
    await agent.until(({ items }) => items.has('service/redis'));
    expect(agent.deltas.at(-1)).toMatchObject({ snapshot: true, previous: 0 });
  });

  test('that lasts makes instances unhealthy, and their return makes them well', async () => {
    await using control = await TestControl.start({ timing: { graceMs: 20 } });
    control.state.apply(prod, { dryRun: false, actor: 'control' });
    const watching = control.connect(control.join({ host: 'one', services: ['web'] }));
    const joined = control.join({ host: 'two', services: ['redis'] });
    const gone = control.connect(joined);
    await watching.until((held) => healthOf(held, 'instance/redis/0') === true);
    gone.close();
    await watching.until((held) => healthOf(held, 'instance/redis/0') === false);
    expect(watching.items.get(`peer/${gone.id}`)).toMatchObject({ endpoints: ['127.0.0.1:7410'] });
    control.connect(joined);
    await watching.until((held) => healthOf(held, 'instance/redis/0') === true);
  });

  test('of an ephemeral agent ends its membership', async () => {
    await using control = await TestControl.start({ timing: { ephemeralMs: 20 } });
    control.state.apply(prod, { dryRun: false, actor: 'control' });
    const watching = control.connect(control.join({ host: 'one', services: ['web'] }));
    await watching.until(({ items }) => items.has('self'));
    // It never connects at all, which is as long a break as any.
    const { agent } = control.join({ host: 'two', services: ['web'], ephemeral: true });
    const { revision } = current(control.state);
    await watching.until((held) => held.revision > revision);
    expect(control.state.endedAgent(agent.id)).toMatchObject({ host: 'two' });
  });
});

test('flow records are kept only of the agent’s own host', async () => {
  await using control = await TestControl.start();
  control.state.apply(prod, { dryRun: false, actor: 'control' });
  const agent = control.connect(control.join({ host: 'one', services: ['web'] }));
  await agent.until(({ items }) => items.has('self'));
  const flow = {
    id: '00112233445566aa',
    startedMs: 1,
    durationMs: 1,
    source: 'web',
    sourceHost: 'one',
    service: 'redis',
    instance: '',
    destinationHost: '',
    port: 6379,
    protocol: 'tcp',
    verdict: 'deny',
    rule: 'x',
    revision: 1,
    outcome: 'denied',
    bytesSent: 0,
    bytesReceived: 0,
    detail: '',
  } as const;
  const next = control.flows.follow('prod', {}, NEVER)[Symbol.asyncIterator]().next();
  agent.send({
    flows: {
      records: [
        flowToWire({ ...flow, sourceHost: 'two', destinationHost: 'three' }),
        flowToWire({ ...flow, id: 'nonsense' }),
        flowToWire(flow),
      ],
      dropped: 3,
    },
  });
  expect((await next).value).toMatchObject({ record: flow });
  const { flows } = await control.flows.query('prod', { filter: {}, limit: 10 }, NEVER);
  expect(flows.map(({ record }) => record)).toEqual([flow]);
  expect(control.flows.dropped('prod')).toBe(5);
});

test('an agent is asked for a path, and its silence or end is no answer', async () => {
  await using control = await TestControl.start();
  control.state.apply(prod, { dryRun: false, actor: 'control' });
  const agent = control.connect(control.join({ host: 'one', services: ['web'] }));
  await agent.until(({ items }) => items.has('self'));
  const asked = control.hub.trace(agent.id, 'ag_other', 20_000);
  await agent.until(({ traces }) => traces.length === 1);
  expect(agent.traces[0]).toMatchObject({ agentId: 'ag_other' });
  agent.send({ trace: { id: agent.traces[0]?.id ?? 0, reachable: true, roundTripUs: 1500 } });
  expect(await asked).toEqual({ reachable: true, roundTripUs: 1500, detail: '' });
  expect(await control.hub.trace(agent.id, 'ag_other', 10)).toBeUndefined();
  expect(await control.hub.trace('ag_none', 'ag_other', 20_000)).toBeUndefined();
  const cut = control.hub.trace(agent.id, 'ag_other', 20_000);
  agent.close();
  expect(await cut).toBeUndefined();
});

test('what connected agents hold in the end is their view', async () => {
  await using control = await TestControl.start();
  control.state.apply(prod, { dryRun: false, actor: 'control' });
  const joined = ['web', 'redis', 'mailer'].map((name) => control.join({ host: `h-${name}`, services: [name] }));
  const agents = joined.map((host) => control.connect(host));
  await Promise.all(agents.map((agent) => agent.until((held) => held.items.has('self'))));
  control.state.apply(
    mesh({ services, defaultAction: 'deny', policies: [rule('x', 'allow', ['mailer'], ['redis'])] }),
    { dryRun: false, actor: 'control' },
  );
  const { revision } = control.state.apply(
    mesh({ services, defaultAction: 'deny', policies: [rule('y', 'allow', ['web'], ['redis'])] }),
    { dryRun: false, actor: 'control' },
  );
  expect(await control.hub.fleet.waitEnforced('prod', revision, 20_000, NEVER)).toEqual([]);
  const network = current(control.state);
  const presences = new Map(
    joined.map(({ agent }) => [
      agent.id,
      {
        endpoints: ['127.0.0.1:7410'],
        instances: new Map(agent.services.map((name) => [name, { healthy: true, notListening: [] }])),
      },
    ]),
  );
  for (const agent of agents) {
    const whole = view(network, presences, agent.id);
    await agent.until(({ items }) => items.size === whole.size);
    expect(agent.items).toEqual(whole);
  }
});

/** For what only control's side sees: looks again at each turn of the loop. */
async function seen(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
