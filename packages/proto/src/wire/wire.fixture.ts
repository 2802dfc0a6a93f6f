/** Arbitrary valid model values for tests of the wire. */

import fc from 'fast-check';
import type { AgentRole } from '../model/agent-role.ts';
import type { FlowRecord } from '../model/flow.ts';
import { LIMITS } from '../model/limits.ts';
import type { Mesh, PortRange, Rule, RulePorts, Service } from '../model/mesh.ts';
import { isServiceName } from '../model/names.ts';
import type { NetmapDelta, NetmapItem } from '../model/netmap.ts';
import { itemKey } from '../model/netmap.ts';
import type { Report } from '../model/report.ts';
import { defined } from '../model/values.ts';

const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}[a-z0-9]$/).filter(isServiceName);
const host = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,8}[a-z0-9]$/);
const tag = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,8}$/);
const tags = fc.uniqueArray(tag, { maxLength: 4 });
const agentId = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
const protocol = fc.constantFrom('tcp' as const, 'udp' as const);
const action = fc.constantFrom('allow' as const, 'deny' as const);
const port = fc.integer({ min: 1, max: 65_535 });
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const address = fc.integer({ min: 0x7f500000, max: 0x7f5fffff });
const count = fc.maxSafeNat();
const endpoint = fc
  .tuple(fc.constantFrom('10.0.0.1', '[::1]', 'a.example'), port)
  .map(([at, number]) => `${at}:${number}`);
/** Words without control characters and lone surrogates, as sentences are sent. */
const words = fc
  .string({ unit: 'grapheme', maxLength: 20 })
  // What steers a terminal does not go out.
  .filter((text) => !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text) && text.isWellFormed());

/** Ranges that do not overlap. */
const ports: fc.Arbitrary<PortRange[]> = fc
  .uniqueArray(fc.record({ protocol, block: fc.nat(600), size: fc.integer({ min: 1, max: 100 }) }), {
    selector: ({ block }) => block,
    minLength: 1,
    maxLength: 5,
  })
  .map((list) =>
    list.map(({ protocol: of, block, size }) => ({ protocol: of, first: block * 100 + 1, last: block * 100 + size })),
  );

/** With what programs opened, or nothing of that. */
function withOpened<T extends object>(instance: fc.Arbitrary<T>): fc.Arbitrary<T & { readonly opened?: PortRange[] }> {
  return fc
    .tuple(instance, fc.option(ports, { nil: undefined }))
    .map(([rest, opened]) => ({ ...rest, ...defined({ opened }) }));
}

const rulePorts: fc.Arbitrary<RulePorts[]> = fc
  .tuple(ports, fc.boolean())
  .map(([ranges, both]) => (both ? ranges.map((range) => ({ ...range, protocol: 'any' })) : ranges));

const service: fc.Arbitrary<Service> = fc.oneof(
  fc.record({ name, kind: fc.constant('private' as const), ports, tags }),
  fc.record({
    name,
    kind: fc.constant('private' as const),
    ports: fc.oneof(fc.constant([]), ports),
    autoPorts: fc.constant(true as const),
    tags,
  }),
  fc.record({ name, kind: fc.constant('worker' as const), ports: fc.constant([]), tags }),
  fc
    .record({
      name,
      kind: fc.constant('web' as const),
      ports,
      tags,
      hosts: fc.uniqueArray(host, { minLength: 1, maxLength: 3 }),
      responseTimeoutMs: fc.option(fc.integer({ min: 1_000, max: LIMITS.responseTimeoutMs }), { nil: undefined }),
    })
    .map(({ hosts, responseTimeoutMs, ...rest }) => {
      const tcp = rest.ports.find((range) => range.protocol === 'tcp');
      return tcp === undefined
        ? rest
        : { ...rest, public: { port: tcp.first, hosts, ...defined({ responseTimeoutMs }) } };
    }),
);

const callee = fc.oneof(
  name,
  fc.constantFrom('*', 'kind:web', 'kind:worker'),
  tag.map((text) => `tag:${text}`),
);
const caller = fc.oneof(
  callee,
  host.map((text) => `host:${text}`),
);
const rule: fc.Arbitrary<Rule> = fc.record({
  name: tag,
  action,
  from: fc.array(caller, { minLength: 1, maxLength: 4 }),
  to: fc.array(callee, { minLength: 1, maxLength: 4 }),
  ports: fc.oneof(fc.constant([]), rulePorts),
});

export const anyMesh: fc.Arbitrary<Mesh> = fc.record({
  network: name,
  services: fc.array(service, { maxLength: 5 }),
  defaultAction: action,
  policies: fc.array(rule, { maxLength: 5 }),
  agents: fc.array(
    fc.record({
      name: host,
      tags,
      services: fc.array(fc.oneof(name, fc.constantFrom('*', 'kind:web')), { maxLength: 3 }),
    }),
    { maxLength: 3 },
  ),
  tests: fc.array(fc.record({ from: caller, service: name, port, protocol, expect: action }), { maxLength: 3 }),
});

export const anyItem: fc.Arbitrary<NetmapItem> = fc.oneof(
  fc.record({ type: fc.constant('service' as const), service, address }),
  withOpened(
    fc.record({
      type: fc.constant('instance' as const),
      service: name,
      ordinal: fc.nat(),
      agentId,
      address,
      healthy: fc.boolean(),
      notListening: fc.oneof(fc.constant([]), ports),
    }),
  ),
  fc.record({
    type: fc.constant('peer' as const),
    agentId,
    host,
    tags,
    tunnelKey: bytes32,
    psk: bytes32,
    endpoints: fc.array(endpoint, { maxLength: 4 }),
    roles: fc.subarray<AgentRole>(['gateway']),
    services: fc.array(name, { maxLength: 4 }),
    address,
  }),
  fc.record({ type: fc.constant('policy' as const), defaultAction: action, rules: fc.array(rule, { maxLength: 5 }) }),
  fc.record({
    type: fc.constant('self' as const),
    controlAddresses: fc.uniqueArray(endpoint, { maxLength: 8 }),
    agentId,
    network: name,
    host,
    tags,
    address,
    services: fc.array(name, { maxLength: 4 }),
    roles: fc.subarray<AgentRole>(['gateway']),
  }),
);

export const anyDelta: fc.Arbitrary<NetmapDelta> = fc
  .record({
    timeline: agentId,
    previous: count,
    index: count,
    revision: count,
    snapshot: fc.boolean(),
    upserts: fc.uniqueArray(anyItem, { selector: itemKey, maxLength: 6 }),
    removals: fc.uniqueArray(
      name.map((gone) => `instance/${gone}/4294967295`),
      { maxLength: 4 },
    ),
  })
  .filter(({ upserts, removals }) => !upserts.some((item) => removals.includes(itemKey(item))));

export const anyReport: fc.Arbitrary<Report> = fc.record({
  endpoints: fc.array(endpoint, { maxLength: 4 }),
  tunnelPort: fc.nat(65_535),
  instances: fc.array(
    withOpened(fc.record({ service: name, healthy: fc.boolean(), notListening: fc.oneof(fc.constant([]), ports) })),
    { maxLength: 3 },
  ),
  gatewayAddress: words,
  problems: fc.array(fc.record({ code: tag, subject: words, message: words }), { maxLength: 3 }),
  tunnels: fc.nat(),
  flows: fc.nat(),
  listeners: fc.nat(),
  toldApart: fc.array(name, { maxLength: 3 }),
  othersAsHost: fc.boolean(),
  sandboxes: fc.array(
    fc.record({
      service: name,
      user: words,
      pid: fc.nat(),
      unit: words,
      sinceMs: fc.nat(),
      ports: fc.oneof(fc.constant([]), ports),
      egress: fc.boolean(),
    }),
    { minLength: 1, maxLength: 2 },
  ),
  exposed: fc.array(
    fc.record({
      service: name,
      protocol: fc.constantFrom('tcp', 'udp'),
      address: fc.constantFrom('0.0.0.0', '::', '10.0.0.5', '2001:db8::5'),
      port: fc.integer({ min: 1, max: 65_535 }),
      program: words,
      closed: fc.boolean(),
      tries: fc.constant([]),
    }),
    { maxLength: 3 },
  ),
  triedByPeers: fc.boolean(),
  sight: fc.constantFrom('all', 'groups', 'units', 'own'),
  sockets: fc.constantFrom('kernel', 'tables'),
});

export const anyFlow: fc.Arbitrary<FlowRecord> = fc.record({
  id: fc.stringMatching(/^[0-9a-f]{16}$/),
  startedMs: count,
  durationMs: count,
  source: caller,
  sourceHost: host,
  service: name,
  instance: words,
  destinationHost: host,
  port: fc.nat(65_535),
  protocol,
  verdict: action,
  rule: tag,
  revision: count,
  outcome: fc.constantFrom(
    'closed',
    'reset',
    'denied',
    'cut',
    'no-instance',
    'not-listening',
    'unreachable',
    'overloaded',
    'unanswered',
  ),
  bytesSent: fc.nat(2 ** 48),
  bytesReceived: fc.nat(2 ** 48),
  zone: tag,
  user: tag,
  unit: words,
  program: words,
  detail: words,
});
