import { expect, test } from 'vitest';
import { agentService } from './grpc.ts';
import { boundAgentMessage, boundJoin } from './message-bounds.ts';
import type * as pb from './pb.ts';

const instance = { service: 's'.repeat(50), healthy: true, notListening: [{ protocol: 1, first: 1, last: 65_535 }] };
const problem = { code: 'c', subject: 's', message: 'm' };
const report = {
  endpoints: ['a:1'],
  tunnelPort: 7410,
  instances: Array.from({ length: 5_000 }, () => instance),
  gatewayAddress: 'a:2',
  problems: Array.from({ length: 256 }, () => problem),
  tunnels: 2 ** 31,
  flows: 1,
  listeners: 10_000,
};
const inventory = Array.from({ length: 100_000 }, (_, index) => ({
  key: `instance/redis/${index}`,
  digest: new Uint8Array(8),
}));
const hello = { agentId: 'a', signature: new Uint8Array(64), version: '1' };
const standing = { timeline: 't', index: 2 ** 52, inventory, report };
const flow = { id: '0'.repeat(16), startedMs: Date.now(), source: 'web', bytesSent: 2 ** 53 - 1 };
const most = 2 ** 53 - 1;
const pair = {
  source: `host:${'h'.repeat(63)}`,
  sourceHost: 'h'.repeat(63),
  service: 's'.repeat(50),
  destinationHost: 'd'.repeat(63),
  open: 2 ** 31,
  opened: 2 ** 31,
  denied: 2 ** 31,
  failed: 2 ** 31,
  bytesSent: most,
  bytesReceived: most,
  lastDenied: { port: 65_535, protocol: 1, rule: 'r'.repeat(63), revision: most },
};
const peer = { host: 'h'.repeat(63), tunnels: 4, roundTripUs: 2 ** 31, bytesSent: most, bytesReceived: most };
const telemetry = {
  sentMs: Date.now(),
  intervalMs: 5_000,
  pairs: Array.from({ length: 2_000 }, () => pair),
  peers: Array.from({ length: 2_000 }, () => peer),
};

test.each<[string, pb.Outgoing<pb.AgentMessage>]>([
  ['hello', { hello }],
  ['standing', { standing }],
  ['ack', { ack: { timeline: 't', index: 2 ** 52, revision: 2 ** 40 } }],
  ['report', { report }],
  ['flows', { flows: { records: Array.from({ length: 1_000 }, () => flow), dropped: 7 } }],
  ['resync', { resync: { reason: 'r' } }],
  ['trace', { trace: { id: 1, reachable: true, roundTripUs: 5, detail: 'd' } }],
  ['telemetry', { telemetry }],
  ['answer of open flows', { openFlows: { id: 1, flows: Array.from({ length: 200 }, () => flow), omitted: 1 } }],
  ['nothing', {}],
])('the largest valid %s passes, and cut short it does not', (_what, message) => {
  const bytes = agentService.connect.requestSerialize(message);
  expect(() => boundAgentMessage(bytes)).not.toThrow();
  if (bytes.length > 0) expect(() => boundAgentMessage(bytes.subarray(0, -1))).toThrow('AgentMessage');
});

/** A field that holds bytes. */
function field(number: number, contents: Uint8Array): Buffer {
  const length: number[] = [];
  for (let rest = contents.length; ; rest = Math.floor(rest / 128)) {
    length.push(rest < 128 ? rest : (rest % 128) | 0x80);
    if (rest < 128) break;
  }
  return Buffer.concat([Uint8Array.of((number << 3) | 2), Uint8Array.from(length), contents]);
}

/** Empty messages, or empty strings, in one field: two bytes each. */
const crowd = (number: number, count: number): Buffer => Buffer.alloc(2 * count, Uint8Array.of((number << 3) | 2, 0));

test.each<[string, Buffer]>([
  ['an inventory of nothings', field(8, crowd(3, 1_000_000))],
  ['a report of nothings in a standing', field(8, field(4, crowd(3, 1_000_000)))],
  ['ports of nothing', field(3, field(3, crowd(3, 1_000_000)))],
  ['problems of nothing', field(3, crowd(5, 1_000_000))],
  ['flows of nothing', field(4, crowd(1, 1_000_000))],
  ['pairs of nothing', field(7, crowd(3, 1_000_000))],
  ['denials of nothing', field(7, field(3, crowd(11, 1_000_000)))],
  ['peers of nothing', field(7, crowd(5, 1_000_000))],
  ['open flows of nothing', field(9, crowd(2, 1_000_000))],
  ['fields that nobody knows', crowd(15, 1_000_000)],
  ['a length beyond the end', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f])],
  ['a length without end', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
  ['a group', Buffer.from([0x0b, 0x0c])],
])('%s is refused before it is decoded', (_what, bytes) => {
  expect(() => boundAgentMessage(bytes)).toThrow('AgentMessage');
});

test('a join has no more than a host has to say', () => {
  const key = new Uint8Array(32);
  const services = Array.from({ length: 256 }, () => 's'.repeat(50));
  const largest = { tokenId: 't'.repeat(64), tokenSecret: 's'.repeat(128), identityKey: key, tunnelKey: key, services };
  expect(() => boundJoin(agentService.join.requestSerialize(largest))).not.toThrow();
  expect(() => boundJoin(crowd(8, 1_001))).toThrow('JoinRequest');
  expect(() => boundJoin(agentService.join.requestSerialize({ version: 'v'.repeat(65_536) }))).toThrow('JoinRequest');
});
