import { expect, test } from 'vitest';
import type { Mesh, PolicyTest } from './mesh.ts';
import { validateMesh } from './validate.ts';

const asked: PolicyTest = { from: 'redis', service: 'redis', port: 6379, protocol: 'tcp', expect: 'allow' };
const mesh = (change: Partial<Mesh>): Mesh => ({
  network: 'prod',
  defaultAction: 'allow',
  services: [{ name: 'redis', kind: 'private', ports: [{ protocol: 'tcp', first: 6379, last: 6379 }], tags: [] }],
  policies: [],
  agents: [],
  tests: [],
  ...change,
});
const fields = (change: Partial<Mesh>): string[] => validateMesh(mesh(change)).errors.map(({ field }) => field);

test.each<[Partial<PolicyTest>, boolean]>([
  [{}, true],
  [{ port: 1 }, true],
  [{ port: 65_535 }, true],
  [{ port: 0 }, false],
  [{ port: 65_536 }, false],
  [{ port: 1.5 }, false],
  [{ from: 'internet' }, true],
  [{ from: 'host:build-3' }, true],
  [{ from: 'host:' }, false],
  [{ from: 'nobody' }, false],
  [{ expect: 'perhaps' as 'allow' }, false],
])('a test of %j: taken, %s', (change, taken) => {
  expect(fields({ tests: [{ ...asked, ...change }] }).length === 0).toBe(taken);
});

test('the default is one of two, and a host is given once', () => {
  expect(fields({ defaultAction: 'perhaps' as 'allow' })).not.toEqual([]);
  const agent = { name: 'build-3', tags: [], services: [] };
  expect(fields({ agents: [agent, agent] })).toEqual(['agents.build-3']);
});
