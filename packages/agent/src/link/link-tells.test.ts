import type { PairTraffic } from '@weft/proto';
import { reportFromWire, telemetryFromWire } from '@weft/proto/wire';
import { describe, expect, test } from 'vitest';
import { linkRig, policy, Streams, self } from './link.fixture.ts';

const { serve, setUp } = linkRig();

describe('what the agent tells of itself', () => {
  test('reports what changed, and not what did not', async () => {
    const streams = new Streams();
    const { reporter, state } = setUp(await serve(streams.handlers));
    const stream = await streams.next();
    await stream.hello();
    reporter.changed();
    state.tunnels = 2;
    reporter.changed();
    expect(reportFromWire(await stream.next('report')).tunnels).toBe(2);
  });

  test('tells what moves at once, then every while, each count once', async () => {
    const streams = new Streams();
    const { traffic } = setUp(await serve(streams.handlers), { telemetryMs: 1 });
    const names = { source: 'web', sourceHost: 'build-3', service: 'redis', destinationHost: 'build-3' };
    const denied = { port: 6379, protocol: 'tcp', rule: 'no-web', revision: 4 } as const;
    for (let count = 0; count < 3; count++) traffic.stillborn(names, 'source', true, 'denied', denied);
    const stream = await streams.next();
    await stream.hello();
    stream.delta({ snapshot: true, index: 1, upserts: [self, policy] });
    const first = telemetryFromWire(await stream.next('telemetry'));
    expect(first).toMatchObject({ sentMs: 9_000, pairs: [{ ...names, denied: 3, lastDenied: denied }], peers: [] });
    expect(telemetryFromWire(await stream.next('telemetry')).pairs).toEqual([]);
    traffic.stillborn(names, 'source', true, 'no-instance', denied);
    let told: readonly PairTraffic[] = [];
    while (told.length === 0) told = telemetryFromWire(await stream.next('telemetry')).pairs;
    expect(told).toMatchObject([{ opened: 1, failed: 1, denied: 0 }]);
  });

  test('hears where control sees it before it reports, so that the first report can say what is wrong there', async () => {
    const streams = new Streams();
    const { seen } = setUp(await serve(streams.handlers));
    const stream = await streams.next();
    await stream.hello();
    expect(seen).toEqual(['203.0.113.7']);
  });

  test('passes over what it does not know of a newer control', async () => {
    const streams = new Streams();
    setUp(await serve(streams.handlers));
    const stream = await streams.next();
    await stream.hello();
    stream.send({});
    stream.send({ trace: { id: 1, agentId: 'a2' } });
    expect(await stream.next('trace')).toMatchObject({ id: 1 });
  });

  test('tries a path when control asks', async () => {
    const streams = new Streams();
    setUp(await serve(streams.handlers));
    const stream = await streams.next();
    await stream.hello();
    stream.send({ trace: { id: 1, agentId: 'a2' } });
    expect(await stream.next('trace')).toMatchObject({ id: 1, reachable: true, roundTripUs: 250 });
    stream.send({ trace: { id: 2, agentId: 'a3' } });
    expect(await stream.next('trace')).toMatchObject({ id: 2, reachable: false, detail: 'no route to a3' });
    // Control gives up after 3 s, and would then know nothing.
    stream.send({ trace: { id: 3, agentId: 'silent' } });
    expect(await stream.next('trace')).toMatchObject({ id: 3, reachable: false, detail: 'no answer within 2500 ms' });
  });
});
