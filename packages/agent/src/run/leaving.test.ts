import type { Service } from '@weft/proto';
import { expect, test } from 'vitest';
import { sampleNetmap } from '../netmap/sample.fixture.ts';
import type { NetmapInstance } from '../words/netmap.ts';
import { Leaving, untilQuiet } from './leaving.ts';

const tcp = (port: number) => ({ protocol: 'tcp', first: port, last: port }) as const;
const PORTS = [tcp(25_001), tcp(25_002), { protocol: 'udp', first: 25_001, last: 25_001 }] as const;
const HERE = { service: 'two', healthy: true, notListening: [] };

/** Of a service with these ports, which runs here and on another host that fares so. */
function netmapWith(other: Partial<NetmapInstance>, more: Partial<Service> = {}) {
  const instance = { service: 'two', address: undefined, healthy: true, notListening: [] };
  const instances = [
    { ...instance, ordinal: 0, agentId: 'id-here' },
    { ...instance, ordinal: 1, agentId: 'id-there', ...other },
  ];
  const service = { name: 'two', kind: 'private', ports: PORTS, tags: [], ...more } as const;
  return sampleNetmap({ services: new Map([['two', { service, address: undefined, instances }]]) });
}

test('each port is left to who serves it, and what nobody else does stays', () => {
  const reports = (other: Partial<NetmapInstance>) => new Leaving().reports([HERE], netmapWith(other));
  const both = { protocol: 'tcp', first: 25_001, last: 25_002 };
  expect(reports({})).toEqual([{ ...HERE, healthy: false, notListening: [both, PORTS[2]] }]);
  expect(reports({ notListening: [tcp(25_002)] })).toEqual([{ ...HERE, notListening: [PORTS[0], PORTS[2]] }]);
  expect(reports({ healthy: false })).toEqual([HERE]);
  expect(reports({ agentId: 'id-here' })).toEqual([HERE]);
  const alone = { ...HERE, service: 'unknown' };
  expect(new Leaving().reports([alone], netmapWith({}))).toEqual([alone]);
});

test('what was left comes back where the other one ends, and stays: two that leave at once pass nothing to and fro', () => {
  const leaving = new Leaving();
  const told = (other: Partial<NetmapInstance>) => leaving.reports([HERE], netmapWith(other))[0]?.healthy;
  expect([told({}), told({ healthy: false }), told({})]).toEqual([false, true, true]);
});

test('what does not listen here is not said to, and comes to be unwell with the rest of it left', () => {
  const silent = { ...HERE, notListening: [tcp(25_002)] };
  const [report] = new Leaving().reports([silent], netmapWith({ notListening: [tcp(25_002)] }));
  expect(report?.healthy).toBe(false);
});

test('of ports that programs opened, those that another serves are left, and with the only other one the service stays well', () => {
  const reports = (opened: number[], theirs: number[], more: Partial<Service>) =>
    new Leaving().reports(
      [{ ...HERE, opened: opened.map(tcp) }],
      netmapWith({ opened: theirs.map(tcp) }, { autoPorts: true, ...more }),
    )[0];
  const all = [{ protocol: 'tcp', first: 25_001, last: 25_002 }, PORTS[2]];
  expect(reports([5001, 5003], [5003], {})).toEqual({ ...HERE, notListening: all, opened: [tcp(5001)] });
  expect(reports([5003], [5003], {})).toEqual({ ...HERE, healthy: false, notListening: all });
  expect(reports([5001, 5003], [5003], { ports: [] })).toEqual({ ...HERE, opened: [tcp(5001)] });
  expect(reports([5003], [5003], { ports: [] })).toEqual({ ...HERE, healthy: false });
});

test('what is open is waited for, and no longer than it may take', async () => {
  let open = 3;
  await untilQuiet(() => Promise.resolve(--open), 60_000);
  expect(open).toBe(0);
  let looks = 0;
  await untilQuiet(() => Promise.resolve(++looks), 60);
  expect(looks).toBeGreaterThan(0);
  const before = looks;
  await untilQuiet(() => Promise.resolve(++looks), 0);
  expect(looks).toBe(before);
});
