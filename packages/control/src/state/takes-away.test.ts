import type { Mesh, PolicyTest, Rule } from '@weft/proto';
import { expect, test } from 'vitest';
import { diffMeshes } from './diff.ts';

const rabbit = { name: 'rabbit', kind: 'private', ports: [], tags: [] } as const;
const rule = (action: Rule['action']): Rule => ({ name: 'r', action, from: ['*'], to: ['rabbit'], ports: [] });
const asked: PolicyTest = { from: 'rabbit', service: 'rabbit', port: 5672, protocol: 'tcp', expect: 'allow' };
const mesh = (change: Partial<Mesh> = {}): Mesh => ({
  network: 'prod',
  defaultAction: 'allow',
  services: [rabbit],
  policies: [],
  agents: [],
  tests: [],
  ...change,
});
const none = mesh();
const tagged = mesh({ agents: [{ name: 'build-3', tags: ['ci'], services: [] }] });
const letRun = mesh({ agents: [{ name: 'build-3', tags: [], services: ['rabbit'] }] });
const denying = mesh({ defaultAction: 'deny' });
const two = mesh({ services: [rabbit, { ...rabbit, name: 'redis' }] });
const twoDenied = mesh({ ...two, policies: [rule('deny')] });

// What takes away goes out at once; said of a change that does not, it only goes out sooner than it must.
test.each<[string, Mesh | undefined, Mesh, boolean]>([
  ['nothing', none, mesh(), false],
  ['a first mesh', undefined, none, false],
  ['a first mesh that denies', undefined, denying, true],
  ['a service more', none, two, false],
  ['a service more, where something is denied', mesh({ policies: [rule('deny')] }), twoDenied, true],
  ['a service less', two, none, true],
  ['a service’s tag', none, mesh({ services: [{ ...rabbit, tags: ['data'] }] }), true],
  ['a rule more that denies', none, mesh({ policies: [rule('deny')] }), true],
  ['a rule more that allows', denying, mesh({ defaultAction: 'deny', policies: [rule('allow')] }), false],
  ['a rule less that denies', mesh({ policies: [rule('deny')] }), none, false],
  ['a rule less that allows', mesh({ policies: [rule('allow')] }), none, true],
  ['a rule turned', mesh({ policies: [rule('deny')] }), mesh({ policies: [rule('allow')] }), true],
  ['a host’s tag', none, tagged, true],
  ['a host without its tag', tagged, none, true],
  ['a host’s other tag', tagged, mesh({ agents: [{ name: 'build-3', tags: ['lab'], services: [] }] }), true],
  ['a host that may run more, as its processes are denied with it', none, letRun, true],
  ['a host that may run less', letRun, none, true],
  ['the default to deny', none, denying, true],
  ['the default to allow', denying, none, false],
  ['a test', none, mesh({ tests: [asked] }), false],
])('%s', (_what, before, after, takesAway) => {
  expect(diffMeshes(before, after).takesAway).toBe(takesAway);
});

test('tests are the same in any order, and another expectation is a change', () => {
  const other: PolicyTest = { ...asked, port: 80, protocol: 'udp' };
  expect(diffMeshes(mesh({ tests: [asked, other] }), mesh({ tests: [other, asked] })).changes).toEqual([]);
  expect(diffMeshes(mesh({ tests: [asked] }), mesh({ tests: [{ ...asked, expect: 'deny' }] })).changes).toEqual([
    { operation: 'change', subject: 'tests', detail: '1 -> 1' },
  ]);
});
