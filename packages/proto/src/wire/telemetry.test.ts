import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WIRE_LIMITS } from '../model/limits.ts';
import type { PairTraffic, PeerTunnels, Telemetry } from '../model/telemetry.ts';
import { WireError } from './errors.ts';
import { agentService } from './grpc.ts';
import type * as pb from './pb.ts';
import { telemetryFromWire, telemetryToWire } from './telemetry.ts';

const name = fc.stringMatching(/^[a-z][a-z0-9:-]{0,20}$/);
const number = fc.nat(0xffffffff);
const large = fc.maxSafeNat();
const anyPair: fc.Arbitrary<PairTraffic> = fc.record(
  {
    source: name,
    sourceHost: name,
    service: name,
    destinationHost: fc.oneof(name, fc.constant('')),
    open: number,
    opened: number,
    denied: number,
    failed: number,
    bytesSent: large,
    bytesReceived: large,
    lastDenied: fc.record({
      port: fc.nat(65_535),
      protocol: fc.constantFrom('tcp' as const, 'udp' as const),
      rule: name,
      revision: large,
    }),
  },
  {
    requiredKeys: [
      'source',
      'sourceHost',
      'service',
      'destinationHost',
      'open',
      'opened',
      'denied',
      'failed',
      'bytesSent',
      'bytesReceived',
    ],
  },
);
const anyPeer: fc.Arbitrary<PeerTunnels> = fc.record({
  host: name,
  tunnels: number,
  roundTripUs: number,
  bytesSent: large,
  bytesReceived: large,
  pathSize: fc.nat(65_535),
});
const anyTelemetry: fc.Arbitrary<Telemetry> = fc.record({
  sentMs: large,
  intervalMs: fc.integer({ min: 1, max: 0xffffffff }),
  pairs: fc.array(anyPair, { maxLength: 5 }),
  pairsOmitted: number,
  peers: fc.array(anyPeer, { maxLength: 5 }),
  loopDelayUs: number,
  flowsQueued: number,
  recordsLost: large,
});

function encode(telemetry: pb.Outgoing<pb.Telemetry>): Buffer {
  return agentService.connect.requestSerialize({ telemetry });
}
function read(bytes: Buffer): Telemetry {
  return telemetryFromWire(agentService.connect.requestDeserialize(bytes).telemetry);
}

const valid = { sentMs: 1, intervalMs: 5_000 };

describe('telemetry', () => {
  it('that is sent is what arrives', () => {
    fc.assert(
      fc.property(anyTelemetry, (telemetry) => {
        expect(read(encode(telemetryToWire(telemetry)))).toEqual(telemetry);
      }),
    );
  });

  it('may be as large as its bounds', () => {
    const pairs = Array.from({ length: WIRE_LIMITS.trafficPairs }, () => ({ source: 'web' }));
    const peers = Array.from({ length: WIRE_LIMITS.peerTunnels }, () => ({ host: 'two' }));
    expect(telemetryFromWire({ ...valid, pairs, peers }).pairs).toHaveLength(WIRE_LIMITS.trafficPairs);
  });

  it.each<[string, pb.Outgoing<pb.Telemetry> | undefined, string]>([
    ['there is none', undefined, 'telemetry'],
    ['it is of no time', { ...valid, intervalMs: 0 }, 'telemetry.interval_ms'],
    ['its time is past 2^53', { ...valid, sentMs: 2 ** 60 }, 'telemetry.sent_ms'],
    ['it has too many pairs', { ...valid, pairs: Array(WIRE_LIMITS.trafficPairs + 1).fill({}) }, 'telemetry.pairs'],
    ['it has too many peers', { ...valid, peers: Array(WIRE_LIMITS.peerTunnels + 1).fill({}) }, 'telemetry.peers'],
    ['a name is too long', { ...valid, pairs: [{ service: 'x'.repeat(256) }] }, 'telemetry.pairs[0].service'],
    ['a name holds a line end', { ...valid, pairs: [{ source: 'a\nb' }] }, 'telemetry.pairs[0].source'],
    ['a name is for a terminal', { ...valid, peers: [{ host: '\u001b[2J' }] }, 'telemetry.peers[0].host'],
    ['bytes are past 2^53', { ...valid, pairs: [{ bytesSent: 2 ** 60 }] }, 'telemetry.pairs[0].bytes_sent'],
    ['a count is negative', { ...valid, pairs: [{ opened: -1 }] }, 'telemetry.pairs[0].opened'],
    [
      'a denial is of no protocol',
      { ...valid, pairs: [{ lastDenied: { port: 1 } }] },
      'telemetry.pairs[0].last_denied.protocol',
    ],
    [
      'a denial is of no port',
      { ...valid, pairs: [{ lastDenied: { port: 65_536, protocol: 1 } }] },
      'telemetry.pairs[0].last_denied.port',
    ],
  ])('is refused when %s', (_what, telemetry, field) => {
    expect(() => telemetryFromWire(telemetry)).toThrow(expect.objectContaining({ name: 'WireError', field }));
  });

  it('with bytes changed is a value or a WireError, and a value is sent as what it was read as', () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 });
    let accepted = 0;
    fc.assert(
      fc.property(anyTelemetry, changes, (telemetry, altered) => {
        const bytes = encode(telemetryToWire(telemetry));
        for (const [at, value] of altered) bytes[at % bytes.length] = value;
        try {
          const held = read(bytes);
          accepted += 1;
          expect(read(encode(telemetryToWire(held)))).toEqual(held);
        } catch (error) {
          if (!(error instanceof WireError)) throw error;
        }
      }),
      { numRuns: 500 },
    );
    expect(accepted).toBeGreaterThan(0);
  });
});
