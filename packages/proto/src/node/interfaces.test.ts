import { expect, it } from 'vitest';
import { remembered } from './interfaces.ts';

it('keeps the last good look while none can be made', () => {
  const [first, later] = [{ eth0: [] }, { eth1: [] }];
  const looks = [first, undefined, undefined, later];
  const look = remembered(() => {
    const seen = looks.shift();
    if (seen === undefined) throw Object.assign(new Error('too many open files'), { code: 'EMFILE' });
    return seen;
  });
  expect([look(), look(), look(), look()]).toEqual([first, first, first, later]);
});

it('does not take a host that cannot be looked at for one without interfaces', () => {
  const look = remembered(() => {
    throw Object.assign(new Error('not permitted'), { code: 'EPERM' });
  });
  expect(look()).toBeUndefined();
});
