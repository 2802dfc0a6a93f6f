import { expect, it } from 'vitest';
import type { Asked } from './asked.ts';
import { MOST_SLOW, SlowCallers } from './slow-callers.ts';

const one = (): Asked => ({ sockets: [], answer: () => undefined });
const groupOf = (uid: number, path: string, count = 1) => ({ uid, path, asked: Array.from({ length: count }, one) });

it('has another user’s callers walked for behind those of one control group, however many groups a user has', () => {
  const slow = new SlowCallers();
  for (const path of ['/a', '/b', '/c']) expect(slow.add(groupOf(1, path))).toBe(true);
  expect(slow.add(groupOf(2, '/d'))).toBe(true);
  expect(slow.add(groupOf(1, '/b', 2))).toBe(true);
  const order = Array.from({ length: 5 }, () => slow.next()).map(
    (group) => group && `${group.path} ${group.asked.length}`,
  );
  expect(order).toEqual(['/a 1', '/d 1', '/b 3', '/c 1', undefined]);
});

it('has as much room for one user as no other can take alone, and no more in all than twice that', () => {
  const slow = new SlowCallers();
  expect(slow.add(groupOf(1, '/a', MOST_SLOW))).toBe(true);
  expect(slow.add(groupOf(1, '/b'))).toBe(false);
  expect(slow.add(groupOf(2, '/b', MOST_SLOW))).toBe(true);
  expect(slow.add(groupOf(3, '/c'))).toBe(false);
  slow.next();
  expect(slow.add(groupOf(3, '/c'))).toBe(true);
});
