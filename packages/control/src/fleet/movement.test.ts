import type { PeerTunnels, Telemetry } from '@weft/proto';
import { expect, test } from 'vitest';
import { Movement } from './movement.ts';

const START = 1_700_000_000_000;

function peer(host: string, bytesSent: number, bytesReceived = 0): PeerTunnels {
  return { host, tunnels: 1, roundTripUs: 300, bytesSent, bytesReceived, pathSize: 1_400 };
}

function telemetry(sentMs: number, peers: readonly PeerTunnels[] = []): Telemetry {
  return {
    sentMs,
    intervalMs: 5_000,
    pairs: [],
    pairsOmitted: 0,
    peers,
    loopDelayUs: 900,
    flowsQueued: 0,
    recordsLost: 0,
  };
}

test("a peer's rate is what was added over the time between two telemetries, by the agent's clock", () => {
  const movement = new Movement();
  movement.take(telemetry(0, [peer('two', 1_000, 10), peer('idle', 7)]), START);
  expect(movement.peerRates(START).size).toBe(0);
  // It took a second longer on its way than the one before.
  movement.take(telemetry(5_000, [peer('two', 6_000, 15), peer('three', 9_000), peer('idle', 7)]), START + 6_000);
  expect(Object.fromEntries(movement.peerRates(START + 6_000))).toEqual({
    two: { sentPerSecond: 1_000, receivedPerSecond: 1 },
  });
});

test.each<[string, Telemetry]>([
  ['counters that began anew', telemetry(10_000, [peer('two', 20)])],
  ['a clock that was set back', telemetry(4_000, [peer('two', 9_000)])],
  ['a clock that stands', telemetry(5_000, [peer('two', 9_000)])],
])('there is no rate over %s', (_what, next) => {
  const movement = new Movement();
  movement.take(telemetry(5_000, [peer('two', 6_000)]), START);
  movement.take(next, START + 5_000);
  expect(movement.peerRates(START + 5_000).size).toBe(0);
});

test('after 20 s of silence nothing moves', () => {
  const movement = new Movement();
  movement.take(telemetry(0, [peer('two', 0)]), START);
  movement.take(telemetry(5_000, [peer('two', 5_000)]), START + 5_000);
  expect(movement.peerRates(START + 25_000).size).toBe(1);
  expect(movement.peerRates(START + 25_001).size).toBe(0);
});

test('the skew is that of the least delayed of the last twelve', () => {
  const movement = new Movement();
  expect(movement.clockSkewMs).toBe(undefined);
  // Seven seconds ahead, and on the way for 30, 2 and 400 ms.
  for (const delay of [30, 2, 400]) movement.take(telemetry(START + 7_000), START + delay);
  expect(movement.clockSkewMs).toBe(6_998);
  // The clock is set right, and a minute later that is seen.
  for (let count = 0; count < 11; count += 1) movement.take(telemetry(START), START + 5);
  expect(movement.clockSkewMs).toBe(6_600);
  movement.take(telemetry(START), START + 9);
  expect(movement.clockSkewMs).toBe(-5);
});

test('the last telemetry is gone with its agent, and the skew when it is back', () => {
  const movement = new Movement();
  movement.take(telemetry(START, [peer('two', 0)]), START + 3);
  expect(movement.telemetry).toMatchObject({ loopDelayUs: 900 });
  movement.stop();
  expect([movement.telemetry, movement.clockSkewMs, movement.peerRates(START + 3).size]).toEqual([undefined, -3, 0]);
  movement.start();
  expect(movement.clockSkewMs).toBe(undefined);
});
