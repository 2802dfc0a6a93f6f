import { flowRecordToWire } from '@weft/proto/wire';
import { describe, expect, test } from 'vitest';
import { current, mesh, rule } from '../netmap/network.fixture.ts';
import { view } from '../netmap/view.fixture.ts';
import { openState } from '../state/state.ts';
import { slow } from '../store/slow.fixture.ts';
import { Store } from '../store/store.ts';
import { TestControl } from './control.fixture.ts';
import { reportOf } from './fake-agent.fixture.ts';
import { healthOf, NEVER, prod, services } from './hub.fixture.ts';

describe('an agent that connects', () => {
  test('gets a snapshot of its view, and others get it as a peer with its endpoints', async () => {
    await using control = await TestControl.start();
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const [one, two] = [
      await control.join({ host: 'one', services: ['web'] }),
      await control.join({ host: 'two', services: ['redis'] }),
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
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    await control.state.apply(mesh({ network: 'other', services }), { dryRun: false, actor: 'control' });
    const mine = control.connect(await control.join({ host: 'one', services: ['web', 'redis'] }));
    const theirs = control.connect(await control.join({ host: 'one', services: ['web', 'redis'] }, 'other'), {});
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
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const agent = control.connect(await control.join({ host: 'one', services: ['web'] }), {
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
    await control.state.apply(mesh({ services: [] }), { dryRun: false, actor: 'control' });
    const agent = control.connect(await control.join({ host: 'one', services: ['web'] }));
    await agent.until(({ items }) => items.has('self'));
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    await agent.until((held) => healthOf(held, 'instance/web/0') === true);
  });
});

test('flow records are kept only of the agent’s own host', async () => {
  await using control = await TestControl.start();
  await control.state.apply(prod, { dryRun: false, actor: 'control' });
  const agent = control.connect(await control.join({ host: 'one', services: ['web'] }));
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
    zone: '',
    user: '',
    unit: '',
    program: '',
    detail: '',
  } as const;
  const next = control.flows.follow('prod', {}, NEVER)[Symbol.asyncIterator]().next();
  agent.send({
    flows: {
      records: [
        flowRecordToWire({ ...flow, sourceHost: 'two', destinationHost: 'three' }),
        flowRecordToWire({ ...flow, id: 'nonsense' }),
        flowRecordToWire(flow),
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
  await control.state.apply(prod, { dryRun: false, actor: 'control' });
  const agent = control.connect(await control.join({ host: 'one', services: ['web'] }));
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

test('an agent is asked for open flows; what comes late, out of form, unasked or under another number is no answer', async () => {
  await using control = await TestControl.start();
  await control.state.apply(prod, { dryRun: false, actor: 'control' });
  const agent = control.connect(await control.join({ host: 'one', services: ['web'] }));
  await agent.until(({ items }) => items.has('self'));
  const flow = { id: '0123456789abcdef', protocol: 1, service: 'redis', bytesSent: 7 };
  const question = { filter: { service: 'redis' }, most: 5 };
  const ask = async (timeoutMs: number) => {
    const before = agent.openFlows.length;
    const answer = control.hub.openFlows(agent.id, question, timeoutMs);
    await agent.until(({ openFlows }) => openFlows.length > before);
    return { answer, id: agent.openFlows.at(-1)?.id ?? 0 };
  };
  agent.send({ openFlows: { id: 999, flows: [flow] } });
  const first = await ask(20_000);
  expect(agent.openFlows[0]).toMatchObject({ service: 'redis', most: 5, handedOver: false });
  agent.send({ openFlows: { id: first.id + 9, flows: [] } });
  agent.send({ openFlows: { id: first.id, flows: [flow], omitted: 3 } });
  expect(await first.answer).toMatchObject({ flows: [{ id: flow.id, bytesSent: 7 }], omitted: 3 });
  const late = await ask(1);
  expect(await late.answer).toBeUndefined();
  agent.send({ openFlows: { id: late.id, flows: [flow] } });
  for (const flows of [[{ ...flow, id: 'x' }], Array.from({ length: 201 }, () => flow)]) {
    const asked = await ask(20_000);
    agent.send({ openFlows: { id: asked.id, flows } });
    expect(await asked.answer).toBeUndefined();
  }
  const cut = await ask(20_000);
  expect(control.hub.fleet.agent(agent.id)?.connected).toBe(true);
  agent.close();
  expect(await cut.answer).toBeUndefined();
});

test.each([
  ['a store that answers at once', Store.inMemory()],
  ['one that takes its time', slow(Store.inMemory())],
])('over %s, what connected agents hold in the end is their view', async (_which, store) => {
  await using control = await TestControl.start({ state: await openState({ store, now: Date.now }) });
  await control.state.apply(prod, { dryRun: false, actor: 'control' });
  const names = ['web', 'redis', 'mailer'];
  const joined = await Promise.all(names.map((name) => control.join({ host: `h-${name}`, services: [name] })));
  const agents = joined.map((host) => control.connect(host));
  await Promise.all(agents.map((agent) => agent.until((held) => held.items.has('self'))));
  await control.state.apply(
    mesh({ services, defaultAction: 'deny', policies: [rule('x', 'allow', ['mailer'], ['redis'])] }),
    { dryRun: false, actor: 'control' },
  );
  const { revision } = await control.state.apply(
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
