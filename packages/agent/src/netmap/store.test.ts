import {
  CONTROL_RANGE,
  type NetmapDelta,
  type NetmapItem,
  type PortRange,
  parseRange,
  type Service,
} from '@weft/proto';
import { describe, expect, test } from 'vitest';
import { ENFORCEMENT } from '../run/enforce.ts';
import { NetmapStore } from './store.ts';

const redis: Service = {
  name: 'redis',
  kind: 'private',
  ports: [{ protocol: 'tcp', first: 6379, last: 6379 }],
  tags: [],
};

const item = {
  redis: { type: 'service', service: redis, address: CONTROL_RANGE.base + 7 },
  redis0: instance(0, 9),
  redis1: instance(1, 10),
  self: {
    type: 'self',
    agentId: 'a1',
    network: 'prod',
    host: 'build-3',
    tags: [],
    address: CONTROL_RANGE.base + 3,
    services: ['redis'],
    roles: [],
    controlAddresses: [],
  },
  policy: { type: 'policy', defaultAction: 'allow', rules: [] },
} as const satisfies Record<string, NetmapItem>;

function instance(ordinal: number, offset: number) {
  const address = CONTROL_RANGE.base + offset;
  return {
    type: 'instance',
    service: 'redis',
    ordinal,
    agentId: `a${ordinal}`,
    address,
    healthy: true,
    notListening: [],
  } as const;
}

function delta(fields: Partial<NetmapDelta>): NetmapDelta {
  return { timeline: 't1', previous: 0, index: 1, revision: 1, snapshot: false, upserts: [], removals: [], ...fields };
}

const snapshot = delta({ snapshot: true, upserts: Object.values(item), index: 5, revision: 9 });

function storeWith(range = CONTROL_RANGE): NetmapStore {
  const store = new NetmapStore(range, undefined, 1_000, ENFORCEMENT);
  expect(store.apply(snapshot, false)).toEqual({ applied: true, takesAway: true });
  return store;
}

describe('the netmap store', () => {
  test('knows nothing and permits nothing before control has spoken', () => {
    const store = new NetmapStore(CONTROL_RANGE, undefined, 1_000, ENFORCEMENT);
    expect(store.current).toMatchObject({ index: 0, revision: 0, self: undefined });
    const source = { type: 'host', name: 'x', tags: [], services: [] } as const;
    expect(store.current.policy.decide(source, { service: redis, port: 6379, protocol: 'tcp' }, '').allowed).toBe(
      false,
    );
    expect(
      store.current.policy.decide({ type: 'internet' }, { service: redis, port: 6379, protocol: 'tcp' }, null).allowed,
    ).toBe(false);
    expect(store.staleSinceMs).toBe(1_000);
  });

  test('makes a snapshot of items, instances by ordinal under their service', () => {
    const { current } = storeWith();
    expect(current.services.get('redis')?.address).toBe('127.80.0.7');
    expect(current.services.get('redis')?.instances.map(({ ordinal, address }) => [ordinal, address])).toEqual([
      [0, '127.80.0.9'],
      [1, '127.80.0.10'],
    ]);
    expect(current.self).toMatchObject({ host: 'build-3', address: '127.80.0.3' });
    expect(current.policy.revision).toBe(9);
  });

  test('adds up what instances have opened: what may be published of it, by turns', () => {
    const tcp = (first: number, last = first) => ({ protocol: 'tcp', first, last }) as const;
    const udp = (first: number, last = first) => ({ protocol: 'udp', first, last }) as const;
    const openedOf = (service: Service, ...opened: PortRange[][]) => {
      const store = new NetmapStore(CONTROL_RANGE, undefined, 1_000, ENFORCEMENT);
      const instances = opened.map((ports, at) => ({ ...instance(at, 9 + at), opened: ports }));
      const upserts = [{ ...item.redis, service }, ...instances];
      store.apply(delta({ snapshot: true, upserts }), false);
      const known = store.current.services.get('redis');
      return { all: known?.opened, each: known?.instances.map((one) => one.opened) };
    };
    const auto = { ...redis, autoPorts: true } as const;
    const lie = [tcp(22), tcp(1000, 1030), tcp(6379), udp(40_000)];
    expect(openedOf(auto, lie, [tcp(5001)])).toEqual({
      all: [tcp(1024, 1030), tcp(5001)],
      each: [[tcp(1024, 1030)], [tcp(5001)]],
    });
    expect(openedOf(redis, lie)).toEqual({ all: undefined, each: [undefined] });
    const { all } = openedOf(auto, [tcp(1024, 60_000)], [udp(5000, 5127)], [tcp(1024)]);
    expect(all).toEqual([tcp(1024, 1151), udp(5000, 5127)]);
  });

  test('says who calls from a host: all that it may be, one that nobody was told of as a worker', () => {
    const store = storeWith();
    const { self } = store.current;
    if (self === undefined) throw new Error('no self');
    const worker = { name: 'mailer', kind: 'worker', ports: [], tags: [] };
    const source = store.current.hostSource({ ...self, services: ['redis', 'mailer'] });
    expect(source).toEqual({ type: 'host', name: 'build-3', tags: [], services: [redis, worker] });
    // The policy remembers by the value what it has found of it.
    expect(store.current.hostSource(self)).toBe(store.current.hostSource(self));
  });

  test('merges deltas, and keeps what they do not touch', () => {
    const store = storeWith();
    const before = store.current;
    const change = delta({
      previous: 5,
      index: 6,
      revision: 10,
      removals: ['instance/redis/0'],
      upserts: [instance(2, 12)],
    });
    expect(store.apply(change, false)).toEqual({ applied: true, takesAway: false });
    expect(store.current.services.get('redis')?.instances.map(({ ordinal }) => ordinal)).toEqual([1, 2]);
    expect(store.current).toMatchObject({ index: 6, revision: 10 });
    // Snapshots are values: whoever holds the one before sees no change.
    expect(before.services.get('redis')?.instances.map(({ ordinal }) => ordinal)).toEqual([0, 1]);
  });

  test.each([
    ['a service that is gone', true, { removals: ['service/redis'] }],
    ['rules that are replaced', true, { upserts: [{ type: 'policy', defaultAction: 'deny', rules: [] }] }],
    ['an instance that is not well', false, { upserts: [{ ...instance(1, 11), healthy: false }] }],
    ['nothing but a revision', false, {}],
  ] as const)('says whether a change may take away: %s', (_name, takesAway, change) => {
    const result = storeWith().apply(delta({ previous: 5, index: 6, upserts: [], ...change }), false);
    expect(result).toMatchObject({ applied: true, takesAway });
  });

  test.each([
    ['an index that was missed', delta({ previous: 6, index: 7, removals: ['service/redis'] })],
    ['another timeline', delta({ timeline: 't2', previous: 5, index: 6, removals: ['service/redis'] })],
    ['a delta of the past', delta({ previous: 4, index: 5, removals: ['service/redis'] })],
  ])('changes nothing on a gap: %s', (_name, change) => {
    const store = storeWith();
    const { current } = store;
    expect(store.apply(change, false)).toMatchObject({ applied: false });
    expect(store.current).toBe(current);
  });

  test('holds nothing of a change that no netmap can be made of, so that control is not told that it does', () => {
    const store = new NetmapStore(CONTROL_RANGE, undefined, 1_000, ENFORCEMENT);
    const bytes = (at: number) => new Map(Object.entries({ self: Buffer.of(at), policy: Buffer.of(at) }));
    store.apply(snapshot, false, bytes(1));
    const { current } = store;
    const broken = { ...item.policy, rules: undefined } as unknown as NetmapItem;
    const change = delta({ previous: 5, index: 6, removals: ['self'], upserts: [broken] });
    expect(() => store.apply(change, false, bytes(2))).toThrow(TypeError);
    expect([store.current, store.items.get('policy')]).toEqual([current, item.policy]);
    expect([...store.encoded]).toEqual([...bytes(1)]);
  });

  test('takes an answer to its inventory whatever timeline counts now', () => {
    const store = storeWith();
    expect(store.apply(delta({ timeline: 't2', previous: 5, index: 6, removals: ['instance/redis/1'] }), true)).toEqual(
      { applied: true, takesAway: false },
    );
    expect(store.current).toMatchObject({ timeline: 't2', index: 6 });
    expect(store.current.services.get('redis')?.instances).toHaveLength(1);
  });

  test('drops what a snapshot does not name', () => {
    const store = storeWith();
    store.apply(delta({ timeline: 't2', snapshot: true, index: 1, upserts: [item.self] }), false);
    expect(store.current.services.size).toBe(0);
    expect([...store.items.keys()]).toEqual(['self']);
  });

  test('tells every step in its order, whoever came first, before it returns, also when one fails', () => {
    const store = storeWith();
    const heard: string[] = [];
    store.subscribe('kept', () => heard.push('third'));
    store.subscribe('listeners', () => {
      throw new Error('cannot bind');
    });
    store.subscribe('flows', (next, previous) => heard.push(`first ${previous.index}->${next.index}`));
    expect(() => store.subscribe('flows', () => {})).toThrow('has a listener already');
    expect(() => store.apply(delta({ previous: 5, index: 6, revision: 10 }), false)).toThrow(
      'revision 10 could not be enforced',
    );
    expect(heard).toEqual(['first 5->6', 'third']);
  });

  test('forgets everything when the membership is over', () => {
    const store = storeWith();
    let told = 0;
    store.subscribe('flows', (next) => {
      told += 1;
      expect(next).toMatchObject({ self: undefined, index: 0, timeline: '' });
    });
    store.clear();
    expect(told).toBe(1);
    expect(store.items.size).toBe(0);
    expect(store.current.services.size + store.current.peers.size).toBe(0);
  });

  test('shifts addresses into its own range, and leaves out those that do not fit', () => {
    const own = parseRange('127.96.0.8/29');
    if (own === undefined) throw new Error('the range is one');
    const { current } = storeWith(own);
    expect(current.services.get('redis')?.address).toBe('127.96.0.15');
    expect(current.self?.address).toBe('127.96.0.11');
    expect(current.services.get('redis')?.instances[0]?.address).toBeUndefined();
  });

  test('counts as stale from the first moment', () => {
    const store = storeWith();
    store.markFresh();
    expect(store.staleSinceMs).toBeUndefined();
    store.markStale(5_000);
    store.markStale(6_000);
    expect(store.staleSinceMs).toBe(5_000);
  });
});
