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

test('one that comes again by itself, and one that crashes at each start, are left alone', () => {
  const duels = new Duels(() => 0);
  for (let count = 0; count < 9; count++) expect(duels.meet('x', one, { ...one, peer: '10.0.0.9:7' })).toBe('replace');
  for (let run = 0; run < 200; run++) {
    expect(duels.meet('y', { run: `r${run}`, peer: '' }, { run: `r${run + 1}`, peer: '' })).toBe('replace');
  }
  expect([duels.standsForMs('x'), duels.standsForMs('y')]).toEqual([0, 0]);
});

test('ones that meet seldom are two all the same', () => {
  let clock = 0;
  const duels = new Duels(() => clock);
  const met = Array.from({ length: 4 }, (_, count) => {
    clock += 30_000;
    return count % 2 === 0 ? duels.meet('z', one, two) : duels.meet('z', two, one);
  });
  // The second may come, for it is the first that has the place by then.
  expect(met).toEqual(['replace', 'replace', 'begin', 'replace']);
});

/** Hosts that come as often as they can: who held the place at the end, and how often it changed hands. */
function fight(hosts: readonly { readonly restarts: boolean; readonly peer: string }[], rounds: number) {
  let clock = 0;
  const duels = new Duels(() => clock);
  const runs = hosts.map(() => 0);
  const contender = (at: number) => ({ run: `${at}.${runs[at]}`, peer: hosts[at]?.peer ?? '' });
  let holder = 0;
  const changes: number[] = [];
  for (let round = 0; round < rounds; round++) {
    clock += 1_000;
    const comer = round % hosts.length;
    if (comer === holder) continue;
    const held = contender(holder);
    if (hosts[comer]?.restarts === true) runs[comer] = (runs[comer] ?? 0) + 1;
    if (duels.meet('x', held, contender(comer)) !== 'replace') continue;
    changes.push(round);
    holder = comer;
  }
  return { holder, changes: changes.length, last: changes.at(-1) ?? 0 };
}

const stays = { restarts: false, peer: '10.0.0.7:1' };
const crashes = { restarts: true, peer: '10.0.0.8:1' };

test.each([
  ['two', [stays, { ...stays, peer: '10.0.0.8:1' }]],
  ['three', [stays, { ...stays, peer: '10.0.0.8:1' }, { ...stays, peer: '10.0.0.9:1' }]],
  ['two of which one changes its run each time', [stays, crashes]],
  ['the same behind one address', [stays, { ...crashes, peer: '10.0.0.7:2' }]],
  ['three of which two change theirs', [stays, crashes, { ...crashes, peer: '10.0.0.9:1' }]],
])('of %s one keeps the place, and it changes hands no more', (_which, hosts) => {
  const { holder, changes, last } = fight(hosts, 2_000);
  expect([hosts[holder]?.restarts, changes <= hosts.length, last < 2 * hosts.length]).toEqual([false, true, true]);
});

/** The first has its place, for it came back after the second had taken it. */
function afterBoth(): Duels {
  const duels = new Duels(() => 0);
  for (const [holder, comer] of [
    [one, two],
    [two, one],
    [one, two],
  ] as const)
    duels.meet('x', holder, comer);
  return duels;
}

test('the owner that starts anew gets its place back from one at another address', () => {
  const duels = afterBoth();
  const [restarted, third] = [
    { run: 'a2', peer: '10.0.0.7:9' },
    { run: 'c', peer: '10.0.0.9:1' },
  ];
  expect([duels.meet('x', two, third), duels.meet('x', two, restarted), duels.meet('x', restarted, two)]).toEqual([
    'go-on',
    'replace',
    'go-on',
  ]);
});

test('the owner that has moved to another address, and starts anew there, has its place still', () => {
  const duels = afterBoth();
  const moved = { ...one, peer: '10.9.9.9:1' };
  expect(duels.meet('x', one, moved)).toBe('replace');
  expect(duels.meet('x', two, { run: 'a2', peer: '10.9.9.9:2' })).toBe('replace');
  expect(duels.meet('x', { run: 'a2', peer: '10.9.9.9:2' }, { run: 'b2', peer: two.peer })).toBe('go-on');
});

test('a crowd of runs from another address does not make the first forgotten, nor goes unnoticed', () => {
  const duels = new Duels(() => 0);
  const thief = (run: number) => ({ run: `t${run}`, peer: '10.0.0.8:1' });
  let holder = one;
  const met: string[] = [];
  for (let run = 0; run < 200; run++) {
    const comer = run % 66 === 65 ? one : thief(run);
    const outcome = duels.meet('x', holder, comer);
    met.push(outcome);
    if (outcome === 'replace') holder = comer;
  }
  expect(met).toContain('begin');
  expect(holder).toBe(one);
});

test('one that takes the place with another run each time, and leaves it at once, is sent away the second time', () => {
  const duels = new Duels(() => 0);
  const thief = (run: number) => ({ run: `t${run}`, peer: '10.0.0.8:1' });
  expect(duels.meet('x', one, thief(1))).toBe('replace');
  expect(duels.meet('x', undefined, one)).toBe('replace');
  expect([duels.meet('x', one, thief(2)), duels.meet('x', one, thief(3))]).toEqual(['begin', 'go-on']);
  expect(duels.standsForMs('x')).toBe(600_000);
});

test('one that finds its place empty is told apart from nobody, and one that starts again takes it from its last run', () => {
  const duels = new Duels(() => 0);
  expect([duels.meet('x', undefined, one), duels.meet('x', one, { ...one, run: 'a2' })]).toEqual([
    'replace',
    'replace',
  ]);
  expect([duels.meet('x', undefined, { ...one, run: 'a3' }), duels.standsForMs('x')]).toEqual(['replace', 0]);
});
