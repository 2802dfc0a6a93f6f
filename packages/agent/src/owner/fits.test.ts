import { expect, it } from 'vitest';
import { fitsMatch } from './fits.ts';

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
