import { expect, it } from 'vitest';
import { shareListeners, shareProblem } from './listener-share.ts';
import { type ListenerSpec, listenerKey } from './listener-spec.ts';

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
