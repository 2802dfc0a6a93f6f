import type { Telemetry } from '@weft/proto';
import { telemetryToWire } from '@weft/proto/wire';
import { describe, expect, test } from 'vitest';
import { mesh, service, tcp } from '../netmap/network.fixture.ts';
import { TestControl } from './control.fixture.ts';
import type { FakeAgent } from './fake-agent.fixture.ts';

const ignored = () => undefined;
const SILENT = { message: ignored, flows: ignored, telemetryRefused: ignored, enforced: ignored };

const prod = mesh({ services: [service('web', 'web', tcp(3000)), service('redis', 'private', tcp(6379))] });

function pair(sourceHost: string, destinationHost: string, open: number) {
  const counts = { open, opened: 5, denied: 0, failed: 0, bytesSent: 0, bytesReceived: 0 };
  return { source: 'web', sourceHost, service: 'redis', destinationHost, ...counts };
}

function telemetry(more: Partial<Telemetry>): Telemetry {
  return {
    sentMs: Date.now(),
    intervalMs: 5_000,
    pairs: [],
    pairsOmitted: 0,
    peers: [],
    loopDelayUs: 700,
    flowsQueued: 3,
    recordsLost: 4,
    ...more,
  };
}

/** Resolves once what was sent before has been heard: a stream keeps its order. */
async function heard(agent: FakeAgent, control: TestControl): Promise<void> {
  const asked = control.hub.trace(agent.id, 'ag_nobody', 5_000);
  await agent.until(({ traces }) => traces.length > 0);
  agent.send({ trace: { id: agent.traces.shift()?.id ?? 0 } });
  await asked;
}

async function connected(control: TestControl, host: string, services: readonly string[]): Promise<FakeAgent> {
  const agent = control.connect(await control.join({ host, services }));
  await agent.until(({ items }) => items.has('self'));
  return agent;
}

describe('telemetry', () => {
  test('is shown of its agent and becomes traffic, and is gone with the agent', async () => {
    await using control = await TestControl.start();
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const agent = await connected(control, 'one', ['web']);
    expect(control.hub.fleet.agent(agent.id)?.telemetry).toBe(undefined);
    const pairs = [pair('one', 'two', 2), pair('two', 'three', 9)];
    agent.send({ telemetry: telemetryToWire(telemetry({ pairs, sentMs: Date.now() + 3_600_000 })) });
    await heard(agent, control);
    expect(control.hub.fleet.agent(agent.id)?.telemetry).toMatchObject({ loopDelayUs: 700, flowsQueued: 3, pairs: [] });
    expect(control.hub.fleet.agent(agent.id)?.clockSkewMs).toBeGreaterThan(3_500_000);
    expect(control.traffic.list('prod')).toMatchObject([{ sourceHost: 'one', open: 2, openedPerSecond: 1 }]);

    const gone = Promise.withResolvers<void>();
    const { traffic } = control;
    const forget = traffic.forget.bind(traffic);
    traffic.forget = (...who) => {
      forget(...who);
      gone.resolve();
    };
    agent.close();
    await gone.promise;
    expect(control.hub.fleet.agent(agent.id)).toMatchObject({ connected: false, telemetry: undefined });
    expect(control.traffic.list('prod')).toEqual([]);
  });

  test('that comes too often is taken in at a pace, the first at once', async () => {
    await using control = await TestControl.start({ timing: { telemetryMs: 60_000 } });
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const agent = await connected(control, 'one', ['web']);
    for (const open of [1, 2, 3]) {
      agent.send({ telemetry: telemetryToWire(telemetry({ pairs: [pair('one', 'two', open)] })) });
    }
    await heard(agent, control);
    expect(control.traffic.list('prod')).toMatchObject([{ open: 1 }]);
  });

  test('out of form is passed over and counted, and costs the agent nothing', async () => {
    let refused = 0;
    const observer = {
      ...SILENT,
      telemetryRefused: () => {
        refused += 1;
      },
    };
    await using control = await TestControl.start({ observer });
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const agent = await connected(control, 'one', ['web']);
    agent.send({ telemetry: { sentMs: 1, intervalMs: 0 } });
    agent.send({ telemetry: { sentMs: 1, intervalMs: 1, pairs: [{ source: 'a\nb' }] } });
    await heard(agent, control);
    expect(refused).toBe(2);
    expect(control.hub.fleet.agent(agent.id)).toMatchObject({ connected: true, telemetry: undefined });
  });
});

test('what is said on streams is counted, and how long revisions take to be enforced', async () => {
  const kinds: string[] = [];
  const lags: number[] = [];
  const observer = {
    ...SILENT,
    message: (kind: string) => kinds.push(kind),
    enforced: (afterMs: number) => lags.push(afterMs),
  };
  await using control = await TestControl.start({ observer });
  await control.state.apply(prod, { dryRun: false, actor: 'control' });
  const agent = await connected(control, 'one', ['web']);
  await heard(agent, control);
  expect(lags).toEqual([]);
  const { revision } = await control.state.apply(mesh({ services: [] }), { dryRun: false, actor: 'control' });
  await agent.until((one) => one.revision === revision);
  await heard(agent, control);
  expect(lags).toHaveLength(1);
  expect(new Set(kinds)).toEqual(new Set(['hello', 'standing', 'ack']));
});
