import { expect, it } from 'vitest';
import { trustHints } from './trust-hints.ts';

const hintsOf = (...ports: readonly string[]) => hintsAt([], ...ports);
const hintsAt = (targets: readonly object[], ...ports: readonly string[]) =>
  trustHints({
    targets: targets.map((target) => ({ service: 'redis', protocol: 'tcp', ...target })),
    instances: [{ service: 'redis', ordinal: 0, listening: true, notListening: [] }],
    names: [{ name: 'redis.internal', address: '127.80.0.2', ports }],
  } as unknown as Parameters<typeof trustHints>[0]).map((hint) => hint.split(' ', 2).join(' '));

it('knows a program by its port, within a range too, and none by one of UDP', () => {
  expect(hintsOf('6379')).toEqual(['redis:6379: Redis']);
  expect(hintsOf('6379-6380', '5000-5700')).toEqual([
    'redis:6379: Redis',
    'redis:5432: Postgres',
    'redis:5672: RabbitMQ',
  ]);
  expect(hintsOf('6379/udp', '6370-6380/udp', '7000')).toEqual([]);
});

it('knows it by where it is served, and not by a port that is served elsewhere', () => {
  expect(hintsAt([{ port: 3000, targetPort: 80 }], '3000', '443', '587', '8080')).toEqual([
    'redis:3000, served',
    "redis:443: Apache's",
    'redis:587: Postfix',
    "redis:8080: Tomcat's",
  ]);
  expect(hintsAt([{ port: 80, targetPort: 3000 }], '80')).toEqual([]);
  expect(hintsAt([{ port: 3000, targetPort: 80, protocol: 'udp' }], '3000')).toEqual([]);
  expect(hintsAt([{ port: 3000, targetPort: 80, service: 'web' }], '3000')).toEqual([]);
});
