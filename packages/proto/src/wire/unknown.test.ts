/** Each enumeration of agent.proto and mesh.proto with a value that this version does not know: what is read of it. */
import { describe, expect, test } from 'vitest';
import type { Rule, Service } from '../model/mesh.ts';
import type { PeerItem, PolicyItem, SelfItem, ServiceItem } from '../model/netmap.ts';
import { compilePolicy } from '../policy/compile.ts';
import type { Source } from '../policy/types.ts';
import { deltaFromWire } from './delta.ts';
import { breakPointCodec, rolesFromWire, toldFromWire } from './enums.ts';
import { WireError } from './errors.ts';
import { weft } from './generated.ts';
import { meshFromWire } from './mesh.ts';
import { itemFromWire } from './netmap.ts';
import type * as pb from './pb.ts';
import { flowBatchFromWire, flowRecordFromWire, flowRecordToWire, reportFromWire } from './report.ts';
import { telemetryFromWire } from './telemetry.ts';

/** What no version knows today. */
const NEW = 99;

const redis: Service = {
  name: 'redis',
  kind: 'private',
  ports: [{ protocol: 'tcp', first: 6379, last: 6380 }],
  tags: [],
};
const db: Service = { ...redis, name: 'db' };
const web: Source = { type: 'service', service: { ...redis, name: 'web', kind: 'web' } };
const host: Source = { type: 'host', name: 'h1', tags: [], services: [] };

const wireRule: pb.Outgoing<pb.Rule> = { name: 'r', action: 2, from: ['web'], to: ['redis'], ports: [] };
const other: pb.Outgoing<pb.Rule> = { name: 'other', action: 1, from: ['web'], to: ['db'], ports: [] };

function bytesOf(...items: readonly pb.Outgoing<pb.Item>[]): Uint8Array[] {
  return items.map((item) => weft.v1.Item.encode(item as pb.Item).finish());
}

function policyOf(rule: pb.Outgoing<pb.Rule>, defaultAction = 1): PolicyItem {
  const policy = { defaultAction, rules: [rule, other] };
  const { delta, rejected } = deltaFromWire({ timeline: 't', index: 1, upserts: bytesOf({ key: 'policy', policy }) });
  expect(rejected).toEqual([]);
  return delta.upserts[0] as PolicyItem;
}

function verdict(policy: PolicyItem, source: Source, service: Service, port = 6379): string {
  const { allowed, rule } = compilePolicy({ revision: 1, ...policy }).decide(
    source,
    {
      service,
      port,
      protocol: 'tcp',
    },
    '',
  );
  return `${allowed ? 'allow' : 'deny'} ${rule}`;
}

describe('a rule that can be read in part', () => {
  test.each<[what: string, rule: pb.Outgoing<pb.Rule>, enforced: Partial<Rule>]>([
    ['denies whoever it may be from', { ...wireRule, from: ['web', 'sort:new'] }, { from: ['*'], to: ['redis'] }],
    ['denies whatever it may be to', { ...wireRule, to: ['sort:new'] }, { from: ['web'], to: ['*'] }],
    [
      'denies its ports by every protocol',
      { ...wireRule, ports: [{ protocol: NEW, first: 6379, last: 6379 }] },
      { ports: [{ protocol: 'any', first: 6379, last: 6379 }] },
    ],
    [
      'denies where its action is not known',
      { ...wireRule, action: NEW },
      { action: 'deny', from: ['web'], to: ['redis'] },
    ],
    ['permits who is known', { ...wireRule, action: 1, from: ['web', 'sort:new'] }, { action: 'allow', from: ['web'] }],
    [
      'permits the ports that are known',
      {
        ...wireRule,
        action: 1,
        ports: [
          { protocol: NEW, first: 1, last: 9 },
          { protocol: 1, first: 6379, last: 6379 },
        ],
      },
      { action: 'allow', ports: [{ protocol: 'tcp', first: 6379, last: 6379 }] },
    ],
  ])('%s', (_what, rule, enforced) => {
    const { rules } = policyOf(rule);
    expect(rules).toHaveLength(2);
    expect(rules[0]).toMatchObject({ name: 'r', ...enforced });
  });

  test.each<[what: string, rule: pb.Outgoing<pb.Rule>]>([
    ['from', { ...wireRule, action: 1, from: ['sort:new'] }],
    ['to', { ...wireRule, action: 1, to: ['sort:new', 'other:new'] }],
    ['ports', { ...wireRule, action: 1, ports: [{ protocol: NEW, first: 6379, last: 6379 }] }],
  ])('permits nothing where nothing of its %s is known', (_what, rule) => {
    expect(policyOf(rule).rules.map(({ name }) => name)).toEqual(['other']);
  });

  test('leaves every flow alone that it cannot be about', () => {
    const policy = policyOf({ ...wireRule, from: ['sort:new'], ports: [{ protocol: 1, first: 6379, last: 6379 }] });
    expect(verdict(policy, web, redis)).toBe('deny r');
    expect(verdict(policy, host, redis)).toBe('deny r');
    expect(verdict(policy, web, redis, 6380)).toBe('allow default');
    expect(verdict(policy, web, db)).toBe('allow other');
    expect(verdict(policy, host, db)).toBe('allow default');
  });

  test('is refused in a mesh file, which is told what it cannot say', () => {
    for (const rule of [
      { ...wireRule, action: NEW },
      { ...wireRule, ports: [{ protocol: NEW, first: 1, last: 1 }] },
    ]) {
      expect(() => meshFromWire({ network: 'prod', policies: [rule] })).toThrow(WireError);
    }
  });
});

test('a default that is not known denies, and the rules stand', () => {
  const policy = policyOf({ ...wireRule, action: 1 }, NEW);
  expect(verdict(policy, web, redis)).toBe('allow r');
  expect(verdict(policy, host, redis)).toBe('deny default');
});

describe('an agent', () => {
  const told = { agentId: 'a1', host: 'h1', address: 1, roles: [NEW, 1] };
  const key = new Uint8Array(32);
  test('is granted the roles that are known, and is there', () => {
    const peer = itemFromWire({ key: 'peer/a1', peer: { ...told, tunnelKey: key, psk: key } }) as PeerItem;
    expect(peer.roles).toEqual(['gateway']);
    const self = itemFromWire({ key: 'self', self: { ...told, network: 'prod' } }) as SelfItem;
    expect(self.roles).toEqual(['gateway']);
  });
  test('takes where control is, but for what is out of form or too much', () => {
    const good = Array.from({ length: 9 }, (_, at) => `control-${at}:7400`);
    const controlAddresses = ['', 'x', 'a:0', 'a:1:2', 'a b:1', `${'a'.repeat(2_000)}:1`, ...good, ...good];
    const self = itemFromWire({ key: 'self', self: { ...told, network: 'prod', controlAddresses } }) as SelfItem;
    expect(self.controlAddresses).toEqual(good.slice(0, 8));
  });
  test('that asks for a role which is not known is refused', () => {
    expect(() => rolesFromWire([NEW], 'roles')).toThrow(WireError);
  });
});

describe('a service', () => {
  const ports = [
    { protocol: NEW, first: 6379, last: 6379 },
    { protocol: 1, first: 6379, last: 6379 },
  ];
  const item = (service: pb.Outgoing<pb.Service>) => ({ key: 'service/redis', service: { service, address: 1 } });
  test('has the ports whose protocol is known', () => {
    const { service } = itemFromWire(item({ name: 'redis', kind: 2, ports })) as ServiceItem;
    expect(service.ports).toEqual([{ protocol: 'tcp', first: 6379, last: 6379 }]);
  });
  test.each([
    ['without a port that is known', { name: 'redis', kind: 2, ports: ports.slice(0, 1) }],
    ['of a kind that is not known', { name: 'redis', kind: NEW, ports }],
  ])('%s is left out, and nothing else is', (_what, service) => {
    const known = { key: 'service/db', service: { service: { name: 'db', kind: 2, ports }, address: 2 } };
    const { delta, rejected } = deltaFromWire({ timeline: 't', index: 1, upserts: bytesOf(item(service), known) });
    expect(rejected.map(({ key }) => key)).toEqual(['service/redis']);
    expect(delta.removals).toEqual(['service/redis']);
    expect(delta.upserts).toHaveLength(1);
  });
  test('has its instances, whose ports of a protocol that is not known are none', () => {
    const instance = { service: 'redis', ordinal: 0, agentId: 'a1', address: 1, notListening: ports };
    const read = itemFromWire({ key: 'instance/redis/0', instance });
    expect(read).toMatchObject({ notListening: [{ protocol: 'tcp', first: 6379, last: 6379 }] });
  });
});

describe('what an agent tells', () => {
  const flow: pb.Outgoing<pb.FlowRecord> = { id: '0'.repeat(16), protocol: 1, verdict: 1, outcome: 1 };
  test('a record is kept, and is told on as `other`', () => {
    const batch = {
      records: [
        { ...flow, outcome: NEW },
        { ...flow, protocol: NEW },
      ],
    };
    const { records, rejected } = flowBatchFromWire(batch);
    expect(rejected).toEqual([]);
    expect(records.map(({ outcome, protocol }) => [outcome, protocol])).toEqual([
      ['other', 'tcp'],
      ['closed', 'other'],
    ]);
    expect(records.map((record) => flowRecordFromWire(flowRecordToWire(record)))).toEqual(records);
  });
  // A verdict is one of two for good: what says a third says nothing.
  test('a record of another verdict is none', () => {
    expect(flowBatchFromWire({ records: [{ ...flow, verdict: NEW }] }).rejected).toHaveLength(1);
  });
  test('telemetry with a denial of a protocol that is not known is telemetry', () => {
    const { pairs } = telemetryFromWire({ intervalMs: 1, pairs: [{ lastDenied: { protocol: NEW } }] });
    expect(pairs[0]?.lastDenied?.protocol).toBe('other');
  });
  test('a report with a port of a protocol that is not known is a report', () => {
    const notListening = [{ protocol: NEW, first: 1, last: 1 }];
    expect(reportFromWire({ instances: [{ service: 'redis', notListening }] }).instances).toEqual([
      { service: 'redis', healthy: false, notListening: [] },
    ]);
  });
  test('a problem of any code is a problem', () => {
    const problem = { code: 'new', subject: 's', message: 'm' };
    expect(reportFromWire({ problems: [problem] }).problems).toEqual([problem]);
  });
});

test('where a flow breaks is `other` where it is not known', () => {
  expect(toldFromWire(breakPointCodec, NEW, 'break_point')).toBe('other');
  expect(() => toldFromWire(breakPointCodec, 0, 'break_point')).toThrow(WireError);
});
