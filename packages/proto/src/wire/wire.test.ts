import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Service } from '../model/mesh.ts';
import type { PeerItem, ServiceItem } from '../model/netmap.ts';
import { itemKey } from '../model/netmap.ts';
import { compilePolicy } from '../policy/compile.ts';
import {
  DENY_ALL_POLICY,
  deltaFromWire,
  deltaToWire,
  inventoryFromWire,
  inventoryToWire,
  UNREADABLE_POLICY_RULE,
} from './delta.ts';
import { WireError } from './errors.ts';
import { weft } from './generated.ts';
import { adminService, agentService } from './grpc.ts';
import { meshFromWire, meshToWire } from './mesh.ts';
import { decodeItem, encodeItem, itemDigest, itemFromWire, itemToWire } from './netmap.ts';
import type * as pb from './pb.ts';
import {
  flowBatchFromWire,
  flowBatchToWire,
  flowRecordFromWire,
  flowRecordToWire,
  reportFromWire,
  reportToWire,
} from './report.ts';
import { anyDelta, anyFlow, anyItem, anyMesh, anyReport } from './wire.fixture.ts';

/** Through bytes and back, as between two programs. */
function overAgentWire(message: pb.Outgoing<pb.AgentMessage>): pb.AgentMessage {
  return agentService.connect.requestDeserialize(agentService.connect.requestSerialize(message));
}
function overControlWire(message: pb.Outgoing<pb.ControlMessage>): pb.ControlMessage {
  return agentService.connect.responseDeserialize(agentService.connect.responseSerialize(message));
}

describe('what is sent is what arrives', () => {
  it('a mesh', () => {
    fc.assert(
      fc.property(anyMesh, (mesh) => {
        const { apply } = adminService;
        const request = apply.requestDeserialize(apply.requestSerialize({ mesh: meshToWire(mesh) }));
        expect(meshFromWire(request.mesh)).toEqual(mesh);
      }),
    );
  });
  it('a delta', () => {
    fc.assert(
      fc.property(anyDelta, (delta) => {
        const message = overControlWire({ delta: deltaToWire(delta) });
        const encoded = new Map(delta.upserts.map((item) => [itemKey(item), new Uint8Array(encodeItem(item))]));
        expect(deltaFromWire(message.delta)).toEqual({ delta, encoded, rejected: [] });
      }),
    );
  });
  it('a report', () => {
    fc.assert(
      fc.property(anyReport, (report) => {
        expect(reportFromWire(overAgentWire({ report: reportToWire(report) }).report)).toEqual(report);
      }),
    );
  });
  it('flow records', () => {
    fc.assert(
      fc.property(fc.array(anyFlow, { maxLength: 3 }), fc.nat(), (records, dropped) => {
        const { flows } = overAgentWire({ flows: flowBatchToWire(records, dropped) });
        expect(flowBatchFromWire(flows)).toEqual({ records, dropped, rejected: [] });
      }),
    );
  });
  it('an inventory', () => {
    const inventory = new Map([['self', new Uint8Array(8).fill(3)]]);
    const { standing } = overAgentWire({ standing: { inventory: inventoryToWire(inventory) } });
    expect(inventoryFromWire(standing?.inventory)).toEqual(inventory);
    expect(() => inventoryFromWire([{ key: 'self', digest: new Uint8Array(7) }])).toThrow(WireError);
  });
});

describe("an item's bytes", () => {
  it('tell how long an answer may take to agents of every version, and alone in milliseconds are read', () => {
    const item: ServiceItem = {
      type: 'service',
      service: {
        name: 'web',
        kind: 'web',
        ports: [{ protocol: 'tcp', first: 80, last: 80 }],
        public: { port: 80, hosts: ['a.example'], responseTimeoutMs: 5_500 },
        tags: [],
      },
      address: 0x7f500001,
    };
    const wire = weft.v1.Item.decode(encodeItem(item));
    const ingress = wire.service?.service?.public;
    expect(ingress).toMatchObject({ responseTimeoutMs: 5_500, responseTimeout: { seconds: 5, nanos: 5e8 } });
    delete ingress?.responseTimeout;
    expect(itemFromWire(wire as pb.Item)).toEqual(item);
  });

  it('are the same after a round trip, so that both ends have one digest', () => {
    fc.assert(
      fc.property(anyItem, (item) => {
        const bytes = encodeItem(item);
        const held = decodeItem(bytes);
        expect(held).toEqual(item);
        expect(encodeItem(held)).toEqual(bytes);
        const delta = overControlWire({ delta: { upserts: [bytes] } }).delta;
        expect(deltaFromWire(delta).delta.upserts.map(encodeItem)).toEqual([bytes]);
      }),
    );
  });
  it('are kept as they came, with what a later version says in them, and for themselves alone', () => {
    // Field 100 of the item, and field 90 of its service.
    const service = Buffer.concat([weft.v1.ServiceItem.encode(wireRedis.service as pb.ServiceItem).finish(), LATER_90]);
    const key = Buffer.from('service/redis');
    const bytes = Buffer.concat(
      [[0x0a, key.length], key, [0x12, service.length], service, LATER_100].map((part) => Buffer.from(part)),
    );
    const message = Buffer.from(agentService.connect.responseSerialize({ delta: { upserts: [bytes] } }));
    const { delta, encoded } = deltaFromWire(agentService.connect.responseDeserialize(message).delta);
    expect(delta.upserts).toEqual([redisItem]);
    message.fill(0);
    expect([...encoded]).toEqual([['service/redis', new Uint8Array(bytes)]]);
    expect(encoded.get('service/redis')?.buffer.byteLength).toBe(bytes.length);
  });
  it('have the first 8 bytes of SHA-256 as their digest', () => {
    const bytes = encodeItem(DENY_ALL_POLICY);
    expect(Buffer.from(itemDigest(bytes)).toString('hex')).toBe(
      createHash('sha256').update(bytes).digest('hex').slice(0, 16),
    );
  });
  it('share no memory with what they were read from', () => {
    const bytes = Buffer.from(encodeItem(peer));
    const held = decodeItem(bytes) as PeerItem;
    bytes.fill(0);
    expect(held.tunnelKey).toEqual(peer.tunnelKey);
    expect(held.tunnelKey.buffer.byteLength).toBe(32);
  });
});

const peer: PeerItem = {
  type: 'peer',
  agentId: 'a1',
  host: 'build-3',
  tags: ['ci'],
  tunnelKey: new Uint8Array(32).fill(1),
  psk: new Uint8Array(32).fill(2),
  endpoints: ['10.0.0.1:7410'],
  roles: [],
  services: ['web'],
  address: 0x7f500001,
};
const redis: Service = {
  name: 'redis',
  kind: 'private',
  ports: [{ protocol: 'tcp', first: 6379, last: 6379 }],
  tags: [],
};
const redisItem: ServiceItem = { type: 'service', service: redis, address: 0x7f500002 };
const wirePeer = itemToWire(peer);
const wireRedis = itemToWire(redisItem);
const bytesOf = (...items: pb.Outgoing<pb.Item>[]) =>
  items.map((item) => weft.v1.Item.encode(item as pb.Item).finish());
const LATER_90 = Buffer.from([0xd2, 0x05, 3, 0x6e, 0x65, 0x77]);
const LATER_100 = Buffer.from([0xa0, 0x06, 1]);

describe('an item is refused', () => {
  const alteredPeer = (changes: pb.Outgoing<pb.PeerItem>): pb.Outgoing<pb.Item> => ({
    key: 'peer/a1',
    peer: { ...wirePeer.peer, ...changes } as pb.Outgoing<pb.PeerItem>,
  });
  const alteredRedis = (changes: pb.Outgoing<pb.Service>): pb.Outgoing<pb.Item> => ({
    key: 'service/redis',
    service: { address: 1, service: { ...wireRedis.service?.service, ...changes } as pb.Outgoing<pb.Service> },
  });
  const rule = { name: 'r', action: 2, from: ['*'], to: ['*'] };
  const policy = (changes: pb.Outgoing<pb.Rule>): pb.Outgoing<pb.Item> => ({
    key: 'policy',
    policy: { defaultAction: 1, rules: [{ ...rule, ...changes }] },
  });
  it.each<[string, pb.Outgoing<pb.Item>, string]>([
    ['with nothing in it', { key: 'self' }, 'wire-missing'],
    ['with two things in it', { ...wirePeer, ...wireRedis }, 'wire-missing'],
    ["under another's key", { ...wirePeer, key: 'peer/a2' }, 'wire-key'],
    ['with a short key', alteredPeer({ tunnelKey: new Uint8Array(31) }), 'wire-length'],
    ['with a long psk', alteredPeer({ psk: new Uint8Array(33) }), 'wire-length'],
    ['without a psk', alteredPeer({ psk: new Uint8Array() }), 'wire-length'],
    ['with a bad endpoint', alteredPeer({ endpoints: ['nowhere'] }), 'wire-form'],
    ['with too many endpoints', alteredPeer({ endpoints: Array(33).fill('a:1') }), 'wire-length'],
    ['with a bad host', alteredPeer({ host: 'A' }), 'wire-form'],
    ['with a bad agent id', alteredPeer({ agentId: 'a/1' }), 'wire-form'],
    ['without an address', alteredPeer({ address: 0 }), 'wire-range'],
    ['with a bad service', alteredPeer({ services: ['internet'] }), 'wire-form'],
    ['of no kind', alteredRedis({ kind: 0 }), 'wire-enum'],
    ['of an unknown kind', alteredRedis({ kind: 9 }), 'wire-enum'],
    ['that is a worker with ports', alteredRedis({ kind: 3 }), 'wire-form'],
    ['with port 0', alteredRedis({ ports: [{ protocol: 1, first: 0, last: 5 }] }), 'wire-range'],
    ['with ports the wrong way round', alteredRedis({ ports: [{ protocol: 1, first: 5, last: 4 }] }), 'wire-range'],
    ['with ports of any protocol', alteredRedis({ ports: [{ protocol: 3, first: 5, last: 5 }] }), 'wire-enum'],
    ['with ports of no protocol', alteredRedis({ ports: [{ first: 5, last: 5 }] }), 'wire-enum'],
    ['without a service', { key: 'service/redis', service: { address: 1 } }, 'wire-missing'],
    ['with a rule of no action', policy({ action: 0 }), 'wire-enum'],
    ['with a rule from nobody', policy({ from: [] }), 'wire-missing'],
    ['with a rule name for a terminal', policy({ name: '\u001b[2J' }), 'wire-form'],
    ['without a default', { key: 'policy', policy: { rules: [rule] } }, 'wire-enum'],
  ])('%s', (_what, item, code) => {
    expect(() => itemFromWire(item)).toThrow(expect.objectContaining({ name: 'WireError', code }));
  });
});

describe('a delta with a bad item', () => {
  const frame = { timeline: 't', previous: 1, index: 2, revision: 3 };
  const badPeer = { key: 'peer/a1', peer: { ...wirePeer.peer, tunnelKey: new Uint8Array(5) } };

  it('applies the others, reports it, and removes what stood there before', () => {
    const upserts = bytesOf(badPeer, wireRedis);
    const { delta, encoded, rejected } = deltaFromWire({ ...frame, upserts, removals: ['peer/a9'] });
    expect(delta.upserts).toEqual([redisItem]);
    expect([...encoded.keys()]).toEqual(['service/redis']);
    expect(delta.removals).toEqual(['peer/a9', 'peer/a1']);
    expect(rejected).toEqual([{ key: 'peer/a1', reason: 'peer.tunnel_key: 5 bytes; expected 32' }]);
  });

  it('takes no side between two items with one key, nor between an item and its removal', () => {
    const twice = deltaFromWire({ ...frame, upserts: bytesOf(wirePeer, wireRedis, wirePeer) });
    expect([twice.delta.upserts, twice.delta.removals]).toEqual([[redisItem], ['peer/a1']]);
    const both = deltaFromWire({ ...frame, upserts: bytesOf(wireRedis), removals: ['service/redis'] });
    expect([both.delta.upserts, both.delta.removals, both.rejected.length]).toEqual([[], ['service/redis'], 1]);
  });

  it.each([
    ['unreadable', { key: 'policy', policy: { defaultAction: 1, rules: [{ name: 'r' }] } }],
    ['empty', { key: 'policy' }],
    ['under another key', { key: 'policies', policy: { defaultAction: 1 } }],
  ])('closes everything when the policy is %s', (_what, policy) => {
    const { delta, encoded, rejected } = deltaFromWire({ ...frame, upserts: bytesOf(policy, wireRedis) });
    expect([...encoded.keys()]).toEqual(['service/redis']);
    expect(rejected).toHaveLength(1);
    expect(delta.upserts).toEqual([redisItem, DENY_ALL_POLICY]);
    expect(delta.removals).not.toContain('policy');
  });

  it.each([
    ['nothing at all', undefined],
    ['an index past 2^53', { ...frame, index: 2 ** 60 }],
    ['what is no item', { ...frame, upserts: [Uint8Array.of(0x0a, 9)] }],
    ['a timeline too long', { ...frame, timeline: 'x'.repeat(65) }],
    ['a key too long', { ...frame, removals: ['x'.repeat(129)] }],
  ])('is refused whole for %s', (_what, wire) => {
    expect(() => deltaFromWire(wire)).toThrow(WireError);
  });
});

describe('the policy that stands in', () => {
  it('denies everyone, the internet at a public port included', () => {
    const policy = compilePolicy({ revision: 1, ...DENY_ALL_POLICY });
    const service: Service = { ...redis, kind: 'web', public: { port: 6379, hosts: ['a.example'] } };
    for (const source of [
      { type: 'internet' } as const,
      { type: 'host', name: 'h', tags: [], services: [] } as const,
      { type: 'service', service } as const,
    ]) {
      const verdict = policy.decide(source, { service, port: 6379, protocol: 'tcp' }, '');
      expect([verdict.allowed, verdict.rule]).toEqual([false, UNREADABLE_POLICY_RULE]);
    }
  });
});

describe('words from an agent', () => {
  const report = {
    endpoints: [],
    tunnelPort: 1,
    instances: [],
    gatewayAddress: '',
    tunnels: 0,
    flows: 0,
    listeners: 0,
    toldApart: [],
    othersAsHost: false,
    exposed: [],
    triedByPeers: false,
  };
  it('are made to fit by an honest one', () => {
    const problems = [{ code: 'c', subject: 's', message: `one\ntwo\ud800${'x'.repeat(2_000)}` }];
    const [problem] = reportFromWire(overAgentWire({ report: reportToWire({ ...report, problems }) }).report).problems;
    expect(problem?.message).toMatch(/^one two\ufffdx+$/);
    expect(problem?.message).toHaveLength(1_000);
  });
  it('are refused otherwise', () => {
    expect(() => reportFromWire({ problems: [{ message: 'a\nb' }] })).toThrow(WireError);
    expect(() => reportFromWire({ problems: Array(257).fill({}) })).toThrow(WireError);
    expect(() => flowBatchFromWire({ records: Array(1_001).fill({}) })).toThrow(WireError);
  });
  it('cost only the record that they are in', () => {
    const [good] = fc.sample(anyFlow, { numRuns: 1, seed: 1 });
    if (good === undefined) throw new Error('no sample');
    const batch = flowBatchFromWire({
      records: [flowRecordToWire(good), { ...flowRecordToWire(good), id: 'X' }],
      dropped: 2,
    });
    expect(batch.records).toEqual([good]);
    expect(batch.rejected).toEqual([{ key: 'flows.records[1]', reason: 'id: expected 16 hexadecimal digits' }]);
    const huge = [{ bytesSent: 2 ** 48 + 1 }, { bytesReceived: 2 ** 53 }].map((bytes) => ({
      ...flowRecordToWire(good),
      ...bytes,
    }));
    expect(flowBatchFromWire({ records: huge, dropped: 0 })).toMatchObject({ records: [], rejected: [{}, {}] });
    // An honest agent's record is not refused, whatever it has counted.
    expect(flowRecordFromWire(flowRecordToWire({ ...good, bytesSent: 2 ** 50 })).bytesSent).toBe(2 ** 48);
  });
});
