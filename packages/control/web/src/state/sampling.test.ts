import { expect, it } from 'vitest';
import { flow } from './flow.fixture.ts';
import { Sampler } from './sampling.ts';

const event = (shown: number, omitted: number) => ({
  flows: Array.from({ length: shown }, (_, cursor) => flow(cursor)),
  omitted,
});

it('says nothing while every record comes', () => {
  const sampler = new Sampler();
  sampler.add(event(50, 0), 0);
  expect(sampler.at(100)).toBeUndefined();
});

it('counts the second before, over events', () => {
  const sampler = new Sampler();
  sampler.add(event(50, 9_000), 0);
  for (const atMs of [1_000, 1_250, 1_500, 1_750]) sampler.add(event(50, 450), atMs);
  expect(sampler.at(1_900)).toEqual({ shown: 200, ended: 2_000 });
});

it('holds the sign over a short lull, and lets it go', () => {
  const sampler = new Sampler();
  sampler.add(event(50, 10), 0);
  expect(sampler.at(2_500)).toEqual({ shown: 0, ended: 0 });
  expect(sampler.at(3_500)).toBeUndefined();
});
