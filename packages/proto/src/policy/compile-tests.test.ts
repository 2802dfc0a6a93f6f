import { expect, test } from 'vitest';
import type { Mesh, Service } from '../model/mesh.ts';
import { compilePolicy, runPolicyTests } from './compile.ts';

const redis: Service = {
  name: 'redis',
  kind: 'private',
  ports: [{ protocol: 'tcp', first: 6379, last: 6379 }],
  tags: [],
};
const asking = { from: 'redis', service: 'redis', port: 6379, protocol: 'tcp', expect: 'allow' } as const;
const mesh = (tests: Mesh['tests']): Mesh => ({
  network: 'prod',
  defaultAction: 'allow',
  services: [redis],
  agents: [],
  policies: [],
  tests,
});

test('a mesh whose tests come out has no problem', () => {
  expect(runPolicyTests(mesh([asking, { ...asking, port: 1, expect: 'deny' }]))).toEqual([]);
});

test('each test that does not is told by its number, with what came instead and why', () => {
  const tests: Mesh['tests'] = [asking, { ...asking, expect: 'deny' }, { ...asking, port: 1 }];
  expect(runPolicyTests(mesh(tests))).toEqual([
    { field: 'tests[1]', message: expect.stringMatching(/^expected deny, got allow by default: ./) },
    { field: 'tests[2]', message: expect.stringMatching(/^expected allow, got deny by builtin:undeclared-port: ./) },
  ]);
});

// A test about nobody would come out, or not, for a reason that has nothing to do with the policy.
test.each([
  [{ from: 'nobody' }, 'tests[0].from', 'there is no caller nobody'],
  [{ service: 'nothing' }, 'tests[0].to', 'there is no service nothing'],
])('%j is told where it stands', (wrong, field, message) => {
  expect(runPolicyTests(mesh([{ ...asking, ...wrong }]))).toEqual([{ field, message }]);
});

test('a host that may run a service is denied what the service is', () => {
  const asked = mesh([{ ...asking, from: 'host:data-1' }]);
  const denying: Mesh = {
    ...asked,
    policies: [{ name: 'no', action: 'deny', from: ['redis'], to: ['redis'], ports: [] }],
  };
  expect(runPolicyTests(denying)).toEqual([]);
  const mayRun = (host: string): string[] => (host === 'data-1' ? ['redis'] : []);
  expect(runPolicyTests(denying, undefined, mayRun)).toMatchObject([
    { message: expect.stringContaining('got deny by no') },
  ]);
});

test('a policy that is given decides in place of the mesh’s own', () => {
  const policy = compilePolicy({ revision: 1, defaultAction: 'deny', rules: [] });
  expect(runPolicyTests(mesh([asking]), policy)).toMatchObject([{ field: 'tests[0]' }]);
});
