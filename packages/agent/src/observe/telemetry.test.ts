import { expect, test } from 'vitest';
import { FlowRecorder } from '../flows/recorder.ts';
import { FlowTraffic } from '../flows/traffic.ts';
import { AgentTelemetry, mergePeers } from './telemetry.ts';

const peer = { host: 'far', tunnels: 1, roundTripUs: 0, bytesSent: 10, bytesReceived: 20, pathSize: 1_400 };

test('tunnels of all threads to a peer are told as one', () => {
  const merged = mergePeers([
    [peer, { ...peer, host: 'rare', tunnels: 0 }],
    [{ ...peer, roundTripUs: 300 }],
    [{ ...peer, roundTripUs: 200, pathSize: 1_252 }],
  ]);
  expect(merged).toEqual([
    { host: 'far', tunnels: 3, roundTripUs: 200, bytesSent: 30, bytesReceived: 60, pathSize: 1_252 },
    { ...peer, host: 'rare', tunnels: 0 },
  ]);
});

test('what was given back is told with the next, for the time of both', async () => {
  const traffic = new FlowTraffic({ pairs: 0 });
  const threads = [
    { peers: [], loopDelayUs: 40 },
    { peers: [peer], loopDelayUs: 900 },
  ];
  const telemetry = new AgentTelemetry({
    traffic,
    names: new FlowRecorder(),
    host: () => 'near',
    queued: () => 7,
    lost: () => 12,
    pulses: () => Promise.resolve(threads),
    settings: { everyMs: 5_000 },
    now: () => 1_000,
    random: () => 0,
  });
  const names = { source: 'web', sourceHost: 'near', service: 'redis', destinationHost: 'far' };
  traffic.began(names, 'destination', true, 0);
  const first = await telemetry.take();
  expect(first).toMatchObject({ sentMs: 1_000, peers: [peer], loopDelayUs: 900, flowsQueued: 7, pairsOmitted: 0 });
  expect(first.recordsLost).toBe(12);
  // There was no room for the pair, and control takes nothing that is of no host of the agent's.
  expect(first.pairs).toMatchObject([{ source: 'other', sourceHost: 'near', opened: 1 }]);
  telemetry.giveBack(first);
  const second = await telemetry.take();
  expect(second.pairs).toEqual(first.pairs);
  expect(second.intervalMs).toBeGreaterThanOrEqual(first.intervalMs);
  expect((await telemetry.take()).pairs).toMatchObject([{ open: 1, opened: 0 }]);
  expect(telemetry.pauseMs()).toBe(4_500);
});

test('what moves at a host that was renamed is told by its name of now, and of both names together', async () => {
  const traffic = new FlowTraffic();
  const names = new FlowRecorder();
  const parts = { traffic, names, host: () => 'new', queued: () => 0, lost: () => 0, now: () => 0, random: () => 0 };
  const telemetry = new AgentTelemetry({ ...parts, pulses: async () => [], settings: { everyMs: 5_000 } });
  const pair = (destinationHost: string) => ({ source: 'web', sourceHost: 'far', service: 'redis', destinationHost });
  traffic.began(pair('old'), 'destination', true, 0);
  names.renamed('old', 'new');
  traffic.began(pair('new'), 'destination', true, 0);
  traffic.began({ ...pair('far'), source: 'host:old', sourceHost: 'old' }, 'source', true, 0);
  const told = await telemetry.take();
  expect(told.pairs).toMatchObject([
    { ...pair('new'), open: 2, opened: 2 },
    { source: 'host:new', sourceHost: 'new', destinationHost: 'far', open: 1 },
  ]);
  telemetry.giveBack(told);
  expect((await telemetry.take()).pairs).toMatchObject([
    { open: 2, opened: 2 },
    { open: 1, opened: 1 },
  ]);
});

test('of what was denied by two names of a host, and on two threads, the last is told', async () => {
  const traffic = new FlowTraffic();
  const names = new FlowRecorder();
  const parts = { traffic, names, host: () => 'new', queued: () => 0, lost: () => 0, now: () => 0, random: () => 0 };
  const telemetry = new AgentTelemetry({ ...parts, pulses: async () => [], settings: { everyMs: 5_000 } });
  const pair = (destinationHost: string) => ({ source: 'web', sourceHost: 'far', service: 'redis', destinationHost });
  const denied = (revision: number) => ({ port: 6379, protocol: 'tcp', rule: 'no', revision }) as const;
  const denies = (host: string, revision: number, counted = traffic) =>
    counted.stillborn(pair(host), 'destination', true, 'denied', denied(revision));
  denies('old', 7);
  names.renamed('old', 'new');
  denies('new', 8);
  const told = await telemetry.take();
  expect(told.pairs).toEqual([expect.objectContaining({ ...pair('new'), denied: 2, lastDenied: denied(8) })]);
  telemetry.giveBack(told);
  const thread = new FlowTraffic();
  denies('new', 9, thread);
  traffic.adopt(1, thread.take(10).pairs);
  const behind = new FlowTraffic();
  denies('new', 6, behind);
  traffic.adopt(2, behind.take(10).pairs);
  expect((await telemetry.take()).pairs).toMatchObject([{ denied: 4, lastDenied: denied(9) }]);
});
