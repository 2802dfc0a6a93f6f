import { expect, test } from 'vitest';
import { mesh } from '../netmap/network.fixture.ts';
import { policyCache } from './policy-cache.ts';

test('a policy is compiled once for each mesh and revision', () => {
  const policyOf = policyCache();
  const asked = mesh({});
  const first = policyOf({ mesh: asked, revision: 1 });
  expect(policyOf({ mesh: asked, revision: 1 })).toBe(first);
  expect(policyOf({ mesh: mesh({}), revision: 1 })).not.toBe(first);
  const next = policyOf({ mesh: asked, revision: 2 });
  expect([first.revision, next.revision]).toEqual([1, 2]);
  expect(policyOf({ mesh: asked, revision: 2 })).toBe(next);
});
