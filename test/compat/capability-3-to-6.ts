/**
 * Prints what capabilities 3 to 6 say otherwise than those before, byte for byte, as base64: each of them what it brought, and all that
 * those from 3 on did. Run in checkouts of 5e1cfe5, d93a706, facbb51 and 4a15a0f, it made test/fixtures/capability-3.json to
 * capability-6.json, which stay as they are; see capability-1.ts.
 */
import { CAPABILITY, type Mesh, type NetmapItem, type OpenFlow, type OpenFlowsQuestion } from '@weft/proto';
import {
  adminService,
  agentService,
  encodeDeltaMessage,
  encodeItem,
  meshToWire,
  openFlowsQuestionToWire,
  openFlowsToWire,
} from '@weft/proto/wire';
import { encodeGreeting } from '../../packages/agent/src/tunnel/greeting.ts';

const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const { join, connect } = agentService;

/** From 3 on. */
export const question: OpenFlowsQuestion = {
  filter: { source: 'web', service: 'redis', host: 'front-1', port: 6379 },
  handedOverTo: ['data-1'],
  most: 50,
};
export const openFlow: OpenFlow = {
  ...{ id: '0123456789abcdef', ageMs: 90_000, idleMs: 1_500, source: 'web', sourceHost: 'front-1', service: 'redis' },
  ...{
    instance: 'redis/3',
    destinationHost: 'data-1',
    port: 6379,
    protocol: 'tcp',
    bytesSent: 11,
    bytesReceived: 2 ** 40,
    ...{ user: '', unit: '', program: '' },
  },
};

const self = {
  ...{ agentId: 'ag_2', host: 'front-1', network: 'prod', tags: ['eu'], roles: [], address: 0x7f500003 },
  ...{ services: ['mailer', 'web'], controlAddresses: ['control.example:7400'] },
} as const;

/** From 4 on: a host that may run two services, of which one is denied something; from 5 on also a rule about the internet alone. */
export const itemsOf = (capability: number): readonly NetmapItem[] => [
  {
    type: 'service',
    service: {
      ...{ name: 'web', kind: 'web', ports: [{ protocol: 'tcp', first: 3000, last: 3000 }], tags: [] },
      public: { port: 3000, hosts: ['shop.example.com'] },
    },
    address: 0x7f500002,
  },
  { type: 'service', service: { name: 'mailer', kind: 'worker', ports: [], tags: [] }, address: 0x7f500004 },
  {
    type: 'policy',
    defaultAction: 'allow',
    rules: [
      { name: 'no-mail', action: 'deny', from: ['mailer'], to: ['web'], ports: [] },
      ...(capability < 5
        ? []
        : ([{ name: 'inside', action: 'deny', from: ['internet'], to: ['web'], ports: [] }] as const)),
    ],
  },
  { type: 'self', ...self },
];

/** From 6 on: what hosts may run beside what their tokens say. */
export const mesh: Mesh = {
  network: 'prod',
  services: [{ name: 'redis', kind: 'private', ports: [{ protocol: 'tcp', first: 6379, last: 6379 }], tags: [] }],
  defaultAction: 'allow',
  policies: [],
  agents: [{ name: 'data-1', tags: ['eu'], services: ['redis', 'kind:web'] }],
  tests: [],
};

const capability = CAPABILITY;
const timeline = { timeline: 't1', revision: 7 };
const samples: Readonly<Record<string, readonly Uint8Array[]>> = {
  joinRequest: [
    join.requestSerialize({
      ...{ tokenId: 'tk_1', tokenSecret: 'secret', identityKey: key(3), tunnelKey: key(1), proof: new Uint8Array(64) },
      ...{ host: 'data-1', services: ['redis'], roles: [1], version: '0.1.0', capability },
    }),
  ],
  joinResponse: [join.responseSerialize({ agentId: 'ag_1', network: 'prod', host: 'data-1', capability })],
  ofAgent: [
    connect.requestSerialize({
      hello: { agentId: 'ag_1', signature: new Uint8Array(64), version: '0.1.0', ...timeline, capability },
    }),
    connect.requestSerialize({ openFlows: openFlowsToWire(1, { flows: [openFlow], omitted: 3 }) }),
  ],
  ofControl: [
    connect.responseSerialize({ challenge: { nonce: key(5), acknowledgesFlows: true, capability } }),
    connect.responseSerialize({ openFlows: openFlowsQuestionToWire(1, question) }),
    ...(capability < 4
      ? []
      : [
          encodeDeltaMessage({
            ...{ ...timeline, previous: 0, index: 1, snapshot: true, receipt: key(9).subarray(0, 16) },
            ...{ upserts: itemsOf(capability).map(encodeItem), removals: [] },
          }),
        ]),
  ],
  greeting: [encodeGreeting({ index: 7, packetLimit: 1_400 })],
  ...(capability < 6 ? {} : { apply: [adminService.apply.requestSerialize({ mesh: meshToWire(mesh) })] }),
};

if (process.argv[1] === import.meta.filename) {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  const written = Object.entries(samples).map(([name, each]) => [name, each.map(text)]);
  process.stdout.write(`${JSON.stringify(Object.fromEntries(written), null, 2)}\n`);
}
