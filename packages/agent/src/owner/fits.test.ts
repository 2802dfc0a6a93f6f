import { expect, it } from 'vitest';
import type { ProcessMatch } from '../words/owner.ts';
import { decidedByMaker, fitsMatch } from './fits.ts';

it.each([
  ['mailer', 'mailer.service', true],
  ['my.app', 'my.app.service', true],
  ['my.scope', 'my.scope', true],
  ['my.scope', 'my.scope.service', false],
  ['mailer', 'mailer.scope', false],
])('a unit written %s is %s: %s', (unit, of, expected) => {
  const facts = { pid: 2, began: 1, parent: 1, uid: 1, cgroups: [], unit: of, within: '', program: '' };
  expect(fitsMatch({ unit }, facts, () => undefined)).toBe(expected);
});

const rule = (service: string, match?: ProcessMatch) => ({
  service,
  targets: [],
  ...(match === undefined ? {} : { match }),
});
const numberOf = (user: string) => Number(user);

it.each([
  ['its user', [{ user: '1' }, { user: '2' }], undefined, ['0']],
  ['its unit', [{ unit: 'a' }, { unit: 'b' }], '/system.slice/b.service', ['1']],
  ['its unit, where no group is known', [{ unit: 'a' }], undefined, undefined],
  ['its unit, in no unit', [{ unit: 'a' }], '/x', undefined],
  ['another user of that unit', [{ user: '2', unit: 'a' }], undefined, []],
  ['another unit', [{ unit: 'a' }], '/system.slice/b.service', []],
  ['its group', [{ cgroup: '/x' }], '/x/y', ['0']],
  ['another group, which may be one of another hierarchy', [{ cgroup: '/x' }], '/y', undefined],
  ['a program of its user', [{ user: '1', command: 'redis' }], undefined, undefined],
  ['a program of another', [{ user: '2', command: 'redis' }], undefined, []],
  ['nobody, where one is known by its target', [{ user: '2' }, undefined], undefined, undefined],
] as const)('a socket decides alone of %s', (_, matches, group, expected) => {
  const rules = matches.map((match, at) => rule(`${at}`, match));
  expect(decidedByMaker(rules, { uid: 1, group, only: false }, numberOf)).toEqual(expected);
});

it('a socket decides more where there are no other groups', () => {
  const [by, other] = [rule('0', { cgroup: '/x' }), rule('0', { unit: 'a' })];
  expect(decidedByMaker([by], { uid: 1, group: '/y', only: true }, numberOf)).toBeUndefined();
  expect(decidedByMaker([other], { uid: 1, group: '/y', only: true }, numberOf)).toEqual([]);
});
