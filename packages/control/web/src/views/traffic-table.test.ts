import { expect, it } from 'vitest';
import { denial, pair } from '../map/test-mesh.ts';
import { summed } from './traffic-table.tsx';

it('sums over hosts, and keeps the newest denial of any of them', () => {
  const old = { ...denial, rule: 'old', atMs: 1 };
  const sums = summed([
    { ...pair('web', 'a', 'store', 'c', 4), deniedPerSecond: 1, lastDenied: { ...denial, atMs: 9 } },
    { ...pair('web', 'b', 'store', 'c', 5), deniedPerSecond: 2, failedPerSecond: 1, lastDenied: old },
    pair('mailer', 'b', 'store', 'c', 1),
  ]);
  expect(sums.length).toBe(2);
  expect(sums[0]).toMatchObject({ opened: 9, denied: 3, failed: 1, lastDenied: { rule: 'no-admin-ui', atMs: 9 } });
  expect(sums[1]?.lastDenied).toBeUndefined();
});
