import { expect, test } from 'vitest';
import { WIRE_LIMITS } from '../model/limits.ts';
import { deltaFromWire, inventoryFromWire, standingFromWire } from './delta.ts';
import { exposedFromWire, outcomesFromWire, triedPlacesFromWire } from './exposed.ts';
import { itemFromWire } from './netmap.ts';
import { openFlowsFromWire, openFlowsQuestionFromWire } from './open-flows.ts';
import type * as pb from './pb.ts';
import { flowBatchFromWire, flowRecordFromWire, reportFromWire } from './report.ts';
import { telemetryFromWire } from './telemetry.ts';

const flow: pb.Outgoing<pb.FlowRecord> = { id: '0'.repeat(16), protocol: 1, verdict: 1, outcome: 1 };
const port: pb.Outgoing<pb.PortRange> = { protocol: 1, first: 1, last: 1 };
const peer: pb.Outgoing<pb.PeerItem> = {
  agentId: 'ag_1',
  host: 'one',
  tunnelKey: new Uint8Array(32),
  psk: new Uint8Array(32),
  address: 1,
};
const question: pb.OpenFlowsRequest = {
  ...{ id: 1, source: '', service: '', host: '', port: 0, handedOver: true, destinationHosts: [], most: 1 },
};
const digest = new Uint8Array(8);
const place = { service: 'redis', protocol: 1, address: '10.0.0.5', port: 6379 };

function many<T>(length: number, value: T): T[] {
  return Array.from({ length }, () => value);
}

/** Each bound, with what reads something of that size or number. */
const READERS: Readonly<Record<keyof typeof WIRE_LIMITS, readonly ((size: number) => unknown)[]>> = {
  name: [
    (size) => flowRecordFromWire({ ...flow, source: 's'.repeat(size) }),
    (size) => reportFromWire({ problems: [{ subject: 's'.repeat(size) }] }),
    (size) => telemetryFromWire({ intervalMs: 1, pairs: [{ service: 's'.repeat(size) }] }),
    (size) => openFlowsFromWire({ flows: [{ id: '0'.repeat(16), protocol: 1, instance: 'i'.repeat(size) }] }),
    (size) => openFlowsQuestionFromWire({ ...question, service: 's'.repeat(size) }),
  ],
  sentence: [
    (size) => flowRecordFromWire({ ...flow, detail: 'd'.repeat(size) }),
    (size) => reportFromWire({ problems: [{ message: 'm'.repeat(size) }] }),
  ],
  key: [
    (size) => deltaFromWire({ removals: ['k'.repeat(size)] }),
    (size) => inventoryFromWire([{ key: 'k'.repeat(size), digest }]),
  ],
  timeline: [(size) => deltaFromWire({ timeline: 't'.repeat(size) })],
  items: [
    (size) => deltaFromWire({ upserts: many(size, new Uint8Array(0)) }),
    (size) => deltaFromWire({ removals: many(size, 'k') }),
    (size) => inventoryFromWire(many(size, { key: 'k', digest })),
  ],
  portRanges: [(size) => reportFromWire({ instances: [{ service: 'redis', notListening: many(size, port) }] })],
  roles: [(size) => itemFromWire({ key: 'peer/ag_1', peer: { ...peer, roles: many(size, 1) } })],
  reportEndpoints: [(size) => reportFromWire({ endpoints: many(size, 'a:1') })],
  peerEndpoints: [(size) => itemFromWire({ key: 'peer/ag_1', peer: { ...peer, endpoints: many(size, 'a:1') } })],
  problems: [(size) => reportFromWire({ problems: many(size, {}) })],
  flowBatch: [(size) => flowBatchFromWire({ records: many(size, flow) })],
  flowBytes: [
    (size) => flowRecordFromWire({ ...flow, bytesSent: size }),
    (size) => flowRecordFromWire({ ...flow, bytesReceived: size }),
  ],
  openFlows: [(size) => openFlowsFromWire({ flows: many(size, { id: '0'.repeat(16), protocol: 1 }) })],
  openFlowAgeMs: [
    (size) => openFlowsFromWire({ flows: [{ id: '0'.repeat(16), protocol: 1, ageMs: size }] }),
    (size) => openFlowsFromWire({ flows: [{ id: '0'.repeat(16), protocol: 1, idleMs: size }] }),
  ],
  openFlowHosts: [(size) => openFlowsQuestionFromWire({ ...question, destinationHosts: many(size, 'h') })],
  trafficPairs: [(size) => telemetryFromWire({ intervalMs: 1, pairs: many(size, {}) })],
  peerTunnels: [(size) => telemetryFromWire({ intervalMs: 1, peers: many(size, {}) })],
  exposed: [(size) => reportFromWire({ exposed: many(size, place) })],
  sandboxes: [(size) => reportFromWire({ sandboxes: many(size, { service: 'redis' }) })],
  sandboxPorts: [(size) => reportFromWire({ sandboxes: [{ service: 'redis', ports: many(size, port) }] })],
  triedPlaces: [
    (size) => triedPlacesFromWire({ agentId: 'ag_1', places: many(size, place) }),
    (size) => outcomesFromWire({ outcomes: many(size, 1) }),
  ],
  placeTries: [
    (size) =>
      exposedFromWire(
        [{ ...place, tries: many(size, { host: 'h', ...place, outcome: 1, time: { seconds: 1 } }) }],
        'e',
      ),
  ],
  index: [(size) => standingFromWire({ index: size })],
};

const cases = Object.entries(READERS).flatMap(([bound, readers]) =>
  readers.map(
    (read, index) => [`${bound} (${index + 1})`, WIRE_LIMITS[bound as keyof typeof WIRE_LIMITS], read] as const,
  ),
);

test.each(cases)('%s: %d is taken, and one more is not', (_bound, most, read) => {
  expect(() => read(most)).not.toThrow();
  expect(() => read(most + 1)).toThrow(expect.objectContaining({ name: 'WireError' }));
});
