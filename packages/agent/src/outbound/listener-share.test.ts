import { expect, it } from 'vitest';
import { sampleNetmap } from '../netmap/sample.fixture.ts';
import { MOST_LISTENERS, SandboxPlaces } from '../sandbox/listeners.ts';
import { shareListeners, shareProblem } from './listener-share.ts';
import { type ListenerSpec, listenerKey, listenerSpecs } from './listener-spec.ts';

function places(ports: Readonly<Record<string, number>>): ReadonlyMap<string, ListenerSpec> {
  const specs = Object.entries(ports).flatMap(([service, count]) =>
    Array.from({ length: count }, (_, port): ListenerSpec => {
      return { service, ordinal: undefined, address: '127.80.0.1', port: port + 1, protocol: 'tcp' };
    }),
  );
  return new Map(specs.map((spec) => [listenerKey(spec), spec]));
}

function taken(listeners: ReadonlyMap<string, ListenerSpec>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { service } of listeners.values()) counts[service] = (counts[service] ?? 0) + 1;
  return counts;
}

it('is all of them where there are files for all', () => {
  const wanted = places({ redis: 1, api: 4 });
  const share = shareListeners(wanted, 5);
  expect(share.listeners).toBe(wanted);
  expect(shareProblem(share, wanted.size, 100)).toBeUndefined();
});

it('gives each service an equal part, and what the small ones leave to the large, first ports first', () => {
  const wanted = places({ api: 1_000, redis: 1, bulk: 40, web: 2 });
  const share = shareListeners(wanted, 63);
  expect(taken(share.listeners)).toEqual({ api: 30, bulk: 30, redis: 1, web: 2 });
  expect(Math.max(...[...share.listeners.values()].map(({ port }) => port))).toBe(30);
  expect(shareProblem(share, wanted.size, 256)?.message).toMatch(
    /1043 places.*256 files.*63 of them.*api \(first 30 of 1000\), bulk \(first 30 of 40\) are refused.*ulimit -n/,
  );
});

it('never takes more than there is, however many services want', () => {
  const wanted = places(Object.fromEntries(Array.from({ length: 25 }, (_, at) => [`s${at}`, 1_024])));
  const share = shareListeners(wanted, 9_487);
  expect(share.listeners.size).toBeLessThanOrEqual(9_487);
  expect(share.listeners.size).toBeGreaterThan(9_400);
  expect(shareProblem(share, wanted.size, 20_000)?.message).toContain('and 17 more');
});

it('gives declared ports their places first, whatever programs have opened, and shares the rest', () => {
  const opened = [...places({ liar: 1_000, web: 3 })].map(([key, spec]): [string, ListenerSpec] => [
    `${key} opened`,
    { ...spec, opened: true },
  ]);
  const wanted = new Map([...opened, ...places({ liar: 1, redis: 30 })]);
  const share = shareListeners(wanted, 41);
  expect(taken(share.listeners)).toEqual({ liar: 8, redis: 30, web: 3 });
  expect(shareProblem(share, wanted.size, 100)?.message).toContain('liar (first 7 of 1000 that programs opened)');
});

it('listens at an instance’s own address on declared ports and what it opened itself, declared ones first', () => {
  const tcp = (first: number) => ({ protocol: 'tcp', first, last: first }) as const;
  const instance = { service: 'web', agentId: 'a', healthy: true, notListening: [] };
  const netmap = sampleNetmap({
    services: new Map([
      [
        'web',
        {
          service: { name: 'web', kind: 'private', ports: [tcp(80)], tags: [], autoPorts: true },
          address: '127.80.0.1',
          opened: [tcp(5001), tcp(5002)],
          instances: [
            { ...instance, ordinal: 0, address: '127.80.0.2', opened: [tcp(5001)] },
            { ...instance, ordinal: 1, address: '127.80.0.3', opened: [tcp(5002)] },
          ],
        },
      ],
      [
        'redis',
        {
          service: { name: 'redis', kind: 'private', ports: [tcp(6379)], tags: [] },
          address: '127.80.0.4',
          instances: [],
        },
      ],
    ]),
  });
  expect([...listenerSpecs(netmap).values()].map(({ address, port, opened }) => [address, port, opened])).toEqual([
    ['127.80.0.1', 80, undefined],
    ['127.80.0.2', 80, undefined],
    ['127.80.0.3', 80, undefined],
    ['127.80.0.4', 6379, undefined],
    ['127.80.0.1', 5001, true],
    ['127.80.0.1', 5002, true],
    ['127.80.0.2', 5001, true],
    ['127.80.0.3', 5002, true],
  ]);
});

it('leaves sandboxes every declared place, however many datagram ports one service’s programs have opened', () => {
  const spec = (service: string, at: number, more: Partial<ListenerSpec>): ListenerSpec => {
    return { service, ordinal: undefined, address: '127.80.0.1', port: 2_000 + at, protocol: 'udp', ...more };
  };
  const specs = [
    ...Array.from({ length: 4_000 }, (_, at) => spec('liar', at, { opened: true })),
    ...Array.from({ length: 400 }, (_, at) => spec('redis', at, { address: '127.80.0.2' })),
  ];
  const places = new SandboxPlaces(new Map(specs.map((each) => [listenerKey(each), each])));
  expect(taken(places.wanted)).toEqual({ redis: 400, liar: MOST_LISTENERS - 400 });
  expect(places.short).toEqual([`liar (first ${MOST_LISTENERS - 400} of 4000 that programs opened)`]);
});
