import { expect, test } from 'vitest';
import { UpstreamHealth } from './upstream-health.ts';

const [a, b, c] = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((host) => ({ host, port: 53 })) as [Up, Up, Up];
type Up = { readonly host: string; readonly port: number };

function setUp() {
  const clock = { now: 0 };
  return { clock, health: new UpstreamHealth(() => clock.now) };
}

test('those that answer come first, in the order of the file', () => {
  const { health } = setUp();
  expect(health.order([a, b, c])).toEqual({ upstreams: [a, b, c], trial: undefined });
  health.silent(a);
  expect(health.order([a, b, c])).toEqual({ upstreams: [b, c, a], trial: undefined });
  health.answered(a);
  expect(health.order([a, b, c]).upstreams).toEqual([a, b, c]);
});

test('a silent one is tried beside the others now and then, one question at a time', () => {
  const { clock, health } = setUp();
  health.silent(a);
  clock.now = 4_999;
  expect(health.order([a, b]).trial).toBeUndefined();
  clock.now = 5_000;
  expect(health.order([a, b])).toEqual({ upstreams: [b, a], trial: a });
  expect(health.order([a, b]).trial).toBeUndefined();
  clock.now = 10_000;
  expect(health.order([a, b]).trial).toEqual(a);
});

test('when all are silent they are asked as they stand', () => {
  const { health } = setUp();
  for (const each of [a, b]) health.silent(each);
  expect(health.order([a, b])).toEqual({ upstreams: [a, b], trial: undefined });
});
