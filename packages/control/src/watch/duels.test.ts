import { expect, test } from 'vitest';
import { Duels } from './duels.ts';

const [one, two] = [
  { run: 'a', peer: '10.0.0.7:1' },
  { run: 'b', peer: '10.0.0.8:1' },
];

test('the third time in a minute that two replace each other, the one that comes is sent away, and again for as long as both are there', () => {
  let clock = 0;
  const duels = new Duels(() => clock);
  expect([duels.meet('x', one, two), duels.meet('x', two, one), duels.meet('x', one, two)]).toEqual([
    'replace',
    'replace',
    'begin',
  ]);
  clock += 300_000;
  expect([duels.meet('x', one, two), duels.standsForMs('x')]).toEqual(['go-on', 600_000]);
  clock += 600_000;
  expect([duels.meet('x', one, two), duels.standsForMs('x')]).toEqual(['replace', 0]);
});

test('one that comes again by itself, one that crashes at each start, and ones that meet seldom are left alone', () => {
  let clock = 0;
  const duels = new Duels(() => clock);
  for (let count = 0; count < 9; count++) expect(duels.meet('x', one, { ...one, peer: '10.0.0.9:7' })).toBe('replace');
  for (let run = 0; run < 9; run++) {
    expect(duels.meet('y', { run: `r${run}`, peer: '' }, { run: `r${run + 1}`, peer: '' })).toBe('replace');
  }
  for (let count = 0; count < 9; count++) {
    expect(duels.meet('z', count % 2 === 0 ? one : two, count % 2 === 0 ? two : one)).toBe('replace');
    clock += 30_000;
  }
});
