/**
 * Prints what capabilities 7 to 10 say otherwise than those before, byte for byte, as base64: each of them what it brought, and all that those
 * from 7 on did. Run in checkouts of 95385bc, 2d6776f, f8fd242 and 9b68b78, it made test/fixtures/capability-7.json to capability-10.json, which
 * stay as they are; see capability-1.ts.
 */
import { createSecretKey } from 'node:crypto';
import { CAPABILITY, type NetmapItem } from '@weft/proto';
import { agentService, encodeDeltaMessage, encodeItem, flowBatchToWire, reportToWire } from '@weft/proto/wire';
import { encodeOpen } from '../../packages/agent/src/protocol/mux/opening.ts';
import { encodeGreeting } from '../../packages/agent/src/tunnel/greeting.ts';
import { records, report, request } from './capability-1.ts';

const key = (byte: number): Buffer => Buffer.alloc(32, byte);
const { join, connect } = agentService;
const capability = CAPABILITY;
const timeline = { timeline: 't1', revision: 7 };

/** From 7 on: who calls, as which user, and what a host tells apart. */
export const claimsOfUsers = [
  { type: 'service', name: 'web', user: 'deploy' },
  { type: 'host', user: 'deploy' },
  { type: 'host', user: '' },
] as const;
export const recordsOfUsers = records
  .slice(0, 1)
  .map((record) => ({ ...record, user: 'deploy', unit: 'shop.service', program: '/usr/bin/curl' }));
const opened = [{ protocol: 'tcp', first: 5_001, last: 5_003 }] as const;
const itemsOpened: readonly NetmapItem[] = [
  {
    type: 'service',
    service: { name: 'dev', kind: 'private', ports: [], autoPorts: true, tags: [] },
    address: 0x7f500002,
  },
  {
    ...{ type: 'instance', service: 'dev', ordinal: 0, agentId: 'ag_1', address: 0x7f500003, healthy: true },
    ...{ notListening: [], opened },
  },
];
/** From 10 on also what programs in sandboxes open. */
export const itemsOf = (of: number): readonly NetmapItem[] => [
  {
    type: 'service',
    service: { name: 'redis', kind: 'private', ports: [{ protocol: 'tcp', first: 6379, last: 6379 }], tags: [] },
    address: 0x7f500001,
  },
  {
    type: 'policy',
    defaultAction: 'allow',
    rules: [{ name: 'no-deploy', action: 'deny', from: ['user:deploy'], to: ['redis'], ports: [] }],
  },
  ...(of < 10 ? [] : itemsOpened),
];
/** From 9 on also what is exposed, and from 10 on what is open in sandboxes. */
export const reportOf = (of: number) => ({
  ...{ ...report, toldApart: ['redis'], othersAsHost: true },
  ...(of < 9
    ? {}
    : {
        ...{ triedByPeers: true, sight: 'units', sockets: 'kernel' },
        exposed: [
          {
            ...{ service: 'redis', protocol: 'tcp' as const, address: '0.0.0.0', port: 6379 },
            ...{ program: '/usr/bin/redis-server', closed: true, tries: [] },
          },
        ],
      }),
  ...(of < 10 ? {} : { instances: [...report.instances, { service: 'dev', healthy: true, notListening: [], opened }] }),
});

/** From 8 on: the keys of one direction, and what is sealed by them in this order, the first as small. */
export const SEALING = { key: key(6), small: key(8) };
export const sealed: readonly Buffer[] = [Buffer.from('small'), Buffer.alloc(1_025, 'x')];

/** From 9 on. */
export const PLACES = [{ address: '10.0.0.7', port: 6379, protocol: 'tcp' }] as const;
export const OUTCOMES = ['answers', 'refused', 'silent', 'untold', 'not-tried'] as const;

async function sealedRecords(): Promise<readonly Uint8Array[]> {
  if (capability < 8) return [];
  const { loadSmallCipher, SmallKey } = await import('../../packages/agent/src/protocol/noise/small-cipher.ts');
  const { RecordSealer } = await import('../../packages/agent/src/protocol/record/record.ts');
  await loadSmallCipher();
  const sealer = new RecordSealer({
    ...{ cipher: 'AESGCM', key: createSecretKey(SEALING.key), small: new SmallKey(Buffer.from(SEALING.small)) },
  });
  return sealed.map((plaintext) => {
    const pieces: Buffer[] = [];
    sealer.seal([plaintext], (piece) => pieces.push(piece));
    return Buffer.concat(pieces);
  });
}

if (process.argv[1] === import.meta.filename) {
  const samples: Readonly<Record<string, readonly Uint8Array[]>> = {
    joinRequest: [
      join.requestSerialize({
        ...{
          tokenId: 'tk_1',
          tokenSecret: 'secret',
          identityKey: key(3),
          tunnelKey: key(1),
          proof: new Uint8Array(64),
        },
        ...{ host: 'data-1', services: ['redis'], roles: [1], version: '0.1.0', capability },
      }),
    ],
    joinResponse: [join.responseSerialize({ agentId: 'ag_1', network: 'prod', host: 'data-1', capability })],
    ofAgent: [
      connect.requestSerialize({
        hello: { agentId: 'ag_1', signature: new Uint8Array(64), version: '0.1.0', ...timeline, capability },
      }),
      connect.requestSerialize({ report: reportToWire(reportOf(capability)) }),
      connect.requestSerialize({ flows: flowBatchToWire(recordsOfUsers, 5, 6) }),
      ...(capability < 9 ? [] : [connect.requestSerialize({ tryPlaces: { id: 1, outcomes: [1, 2, 3, 4, 5] } })]),
    ],
    ofControl: [
      connect.responseSerialize({ challenge: { nonce: key(5), acknowledgesFlows: true, capability } }),
      encodeDeltaMessage({
        ...{ ...timeline, previous: 0, index: 1, snapshot: true, receipt: key(9).subarray(0, 16) },
        ...{ upserts: itemsOf(capability).map(encodeItem), removals: [] },
      }),
      ...(capability < 9
        ? []
        : [
            connect.responseSerialize({
              tryPlaces: { id: 1, agentId: 'ag_1', places: [{ address: '10.0.0.7', port: 6379, protocol: 1 }] },
            }),
          ]),
    ],
    greeting: [encodeGreeting({ index: 7, packetLimit: 1_400 })],
    open: claimsOfUsers.map((source) => encodeOpen({ ...request, protocol: 'tcp', source }, 65_536)),
    sealed: await sealedRecords(),
  };
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  const written = Object.entries(samples).map(([name, each]) => [name, each.map(text)]);
  process.stdout.write(`${JSON.stringify(Object.fromEntries(written), null, 2)}\n`);
}
