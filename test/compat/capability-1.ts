/**
 * Prints what capability 1 says, byte for byte, as base64. Run in a checkout of 52546b5, it made test/fixtures/capability-1.json, which
 * stays as it is; a later capability gets a file of its own. samples.test.ts reads it with the code of today.
 */
import type { FlowRecord, NetmapItem, Report, Telemetry } from '@weft/proto';
import {
  agentService,
  encodeDeltaMessage,
  encodeItem,
  flowBatchToWire,
  inventoryToWire,
  itemDigest,
  reportToWire,
  telemetryToWire,
} from '@weft/proto/wire';
import { encodeOffer } from '../../packages/agent/src/protocol/datagram/offer.ts';
import { encodeOpen, encodeRefusal } from '../../packages/agent/src/protocol/mux/opening.ts';

const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const tcp = { protocol: 'tcp', first: 6379, last: 6379 } as const;
const udp = { protocol: 'udp', first: 8125, last: 8130 } as const;

const told = {
  agentId: 'ag_1',
  host: 'data-1',
  tags: ['eu'],
  roles: ['gateway'],
  services: ['redis'],
  address: 0x7f500003,
} as const;
export const items: readonly NetmapItem[] = [
  {
    type: 'service',
    service: { name: 'redis', kind: 'private', ports: [tcp, udp], tags: ['cache'] },
    address: 0x7f500001,
  },
  {
    type: 'service',
    service: {
      name: 'web',
      kind: 'web',
      ports: [{ ...tcp, first: 3000, last: 3000 }],
      public: { port: 3000, hosts: ['shop.example.com'], responseTimeoutMs: 5_000 },
      tags: [],
    },
    address: 0x7f500002,
  },
  { type: 'service', service: { name: 'mailer', kind: 'worker', ports: [], tags: [] }, address: 0x7f500004 },
  {
    type: 'instance',
    service: 'redis',
    ordinal: 3,
    agentId: 'ag_1',
    address: 0x7f500005,
    healthy: true,
    notListening: [udp],
  },
  { type: 'peer', ...told, tunnelKey: key(1), psk: key(2), endpoints: ['data-1.example:7410', '[2001:db8::1]:7410'] },
  {
    type: 'policy',
    defaultAction: 'deny',
    rules: [
      { name: 'cache', action: 'allow', from: ['web', 'tag:eu'], to: ['redis'], ports: [tcp] },
      {
        name: 'shut',
        action: 'deny',
        from: ['host:build-3', 'kind:worker'],
        to: ['*'],
        ports: [{ ...udp, protocol: 'any' }],
      },
    ],
  },
  { type: 'self', ...told, agentId: 'ag_2', host: 'front-1', network: 'prod', controlAddresses: [] },
];

export const report: Report = {
  endpoints: ['10.0.0.7:7410'],
  tunnelPort: 7410,
  instances: [{ service: 'redis', healthy: true, notListening: [udp] }],
  gatewayAddress: '0.0.0.0:8080',
  problems: [{ code: 'port-taken', subject: 'redis:6379/tcp', message: 'taken by another program' }],
  tunnels: 2,
  flows: 3,
  listeners: 448,
  toldApart: [],
  othersAsHost: false,
  exposed: [],
  triedByPeers: false,
};

const flow: FlowRecord = {
  id: '0123456789abcdef',
  startedMs: 1_790_000_000_000,
  durationMs: 250,
  source: 'web',
  sourceHost: 'front-1',
  service: 'redis',
  instance: 'redis/3',
  destinationHost: 'data-1',
  port: 6379,
  protocol: 'tcp',
  verdict: 'allow',
  rule: 'cache',
  revision: 7,
  outcome: 'closed',
  bytesSent: 11,
  bytesReceived: 2 ** 40,
  zone: 'eu-west-1a',
  user: '',
  unit: '',
  program: '',
  detail: '',
};
const outcomes = [
  'closed',
  'reset',
  'denied',
  'cut',
  'no-instance',
  'not-listening',
  'unreachable',
  'overloaded',
  'unanswered',
] as const;
export const records = outcomes.map(
  (outcome): FlowRecord => ({ ...flow, outcome, protocol: outcome === 'cut' ? 'udp' : 'tcp' }),
);

export const telemetry: Telemetry = {
  sentMs: 1_790_000_000_500,
  intervalMs: 5_000,
  pairs: [
    {
      ...{ source: 'web', sourceHost: 'front-1', service: 'redis', destinationHost: 'data-1' },
      ...{ open: 1, opened: 2, denied: 3, failed: 4, bytesSent: 5, bytesReceived: 6 },
      lastDenied: { port: 8125, protocol: 'udp', rule: 'shut', revision: 7 },
    },
  ],
  pairsOmitted: 1,
  peers: [{ host: 'data-1', tunnels: 2, roundTripUs: 300, bytesSent: 5, bytesReceived: 6, pathSize: 1_252 }],
  loopDelayUs: 900,
  flowsQueued: 8,
  recordsLost: 0,
};

export const request = { flowId: flow.id, service: 'redis', ordinal: 3, port: 6379 } as const;
export const claims = [
  { type: 'service', name: 'web' },
  { type: 'host' },
  { type: 'internet', address: '2001:db8::1' },
] as const;
export const codes = ['denied', 'no-instance', 'not-listening', 'overloaded'] as const;

const { join, connect } = agentService;
const delta = { timeline: 't1', previous: 0, index: 1, revision: 7, snapshot: true, receipt: key(9).subarray(0, 16) };
const digests = new Map([['service/redis', itemDigest(encodeItem(items[0] ?? failed()))]]);
const standing = { timeline: 't1', index: 1, inventory: inventoryToWire(digests), report: reportToWire(report) };

/** By name; of several, in their order here. */
const samples: Readonly<Record<string, readonly Uint8Array[]>> = {
  joinRequest: [
    join.requestSerialize({
      ...{ tokenId: 'tk_1', tokenSecret: 'secret', identityKey: key(3), tunnelKey: key(1), proof: new Uint8Array(64) },
      ...{ host: 'data-1', services: ['redis'], roles: [1], version: '0.1.0' },
    }),
  ],
  joinResponse: [join.responseSerialize({ agentId: 'ag_1', network: 'prod', host: 'data-1', ephemeral: true })],
  ofAgent: [
    connect.requestSerialize({
      hello: {
        ...{ agentId: 'ag_1', signature: new Uint8Array(64), version: '0.1.0', timeline: 't1', revision: 7 },
        ...{ receipt: delta.receipt, run: key(4).subarray(0, 8) },
      },
    }),
    connect.requestSerialize({ standing }),
    connect.requestSerialize({ ack: { timeline: 't1', index: 1, revision: 7, kept: true } }),
    connect.requestSerialize({ report: reportToWire(report) }),
    connect.requestSerialize({ flows: flowBatchToWire(records, 5, 6) }),
    connect.requestSerialize({ telemetry: telemetryToWire(telemetry) }),
    connect.requestSerialize({ resync: { reason: 'a gap' } }),
    connect.requestSerialize({ trace: { id: 1, reachable: true, roundTripUs: 300, detail: '' } }),
  ],
  ofControl: [
    connect.responseSerialize({ challenge: { nonce: key(5), acknowledgesFlows: true } }),
    connect.responseSerialize({ welcome: {} }),
    encodeDeltaMessage({ ...delta, upserts: items.map(encodeItem), removals: [] }),
    encodeDeltaMessage({ ...delta, previous: 1, index: 2, snapshot: false, upserts: [], removals: ['service/mailer'] }),
    connect.responseSerialize({ revoked: { reason: 'by an operator' } }),
    connect.responseSerialize({ held: { reason: 'older data', retryMs: 1_000, unknown: true } }),
    connect.responseSerialize({ trace: { id: 1, agentId: 'ag_1' } }),
    connect.responseSerialize({ flowsTaken: { sequence: 6 } }),
  ],
  greeting: [encodeOffer({ index: 7, packetLimit: 1_400 }), encodeOffer({ index: 0, packetLimit: 0 })],
  open: (['tcp', 'udp'] as const).flatMap((protocol) =>
    claims.map((source) => encodeOpen({ ...request, protocol, source }, protocol === 'tcp' ? 65_536 : 0)),
  ),
  refused: codes.map((code) => encodeRefusal({ code, rule: 'shut', revision: 7, detail: 'why' })),
};

function failed(): never {
  throw new Error('no item');
}

if (process.argv[1] === import.meta.filename) {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  const written = Object.entries(samples).map(([name, each]) => [name, each.map(text)]);
  process.stdout.write(`${JSON.stringify(Object.fromEntries(written), null, 2)}\n`);
}
