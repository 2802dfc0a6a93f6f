/** Arbitrary small networks, for properties. */
import type { AgentRole, Mesh, Rule, Service } from '@weft/proto';
import fc from 'fast-check';
import { mesh, service, type TestHost, tcp } from './network.fixture.ts';

const names = ['a', 'b', 'c', 'd'] as const;
const hostNames = ['h0', 'h1', 'h2', 'h3'] as const;
const ports = [80, 81];

const anyService = (name: string): fc.Arbitrary<Service> =>
  fc
    .record({
      kind: fc.constantFrom('web', 'private', 'worker'),
      ports: fc.subarray(ports, { minLength: 1 }),
      open: fc.boolean(),
      tags: fc.subarray(['red', 'blue']),
    })
    .map(({ kind, ports: declared, open, tags }) => {
      if (kind === 'worker') return service(name, kind, [], { tags });
      const [first = 80] = declared;
      const ingress = kind === 'web' && open ? { public: { port: first, hosts: [`${name}.example.com`] } } : {};
      return service(name, kind, tcp(...declared), { tags, ...ingress });
    });

const from = ['*', 'kind:web', 'kind:worker', 'tag:red', 'tag:blue', 'host:h0', 'host:h1', ...names];
const to = ['*', 'kind:private', 'tag:red', ...names];

export const anyMesh: fc.Arbitrary<Mesh> = fc
  .record({
    services: fc.subarray([...names]).chain((kept) => fc.tuple(...kept.map(anyService))),
    defaultAction: fc.constantFrom('allow', 'deny'),
    policies: fc.array(
      fc.record({
        action: fc.constantFrom('allow', 'deny'),
        from: fc.subarray(from, { minLength: 1, maxLength: 2 }),
        to: fc.subarray(to, { minLength: 1, maxLength: 2 }),
        ports: fc.subarray(ports, { maxLength: 1 }).map((chosen) => tcp(...chosen)),
      }),
      { maxLength: 4 },
    ),
    agents: fc.subarray([
      { name: 'h1', tags: ['red'], services: [] },
      { name: 'h2', tags: ['blue'], services: ['kind:private'] },
    ]),
  })
  .map((parts) => {
    const declared = new Set([...parts.services.map(({ name }) => name), ...from.filter((text) => /[*:]/.test(text))]);
    // Rules may name only services that are declared.
    const policies = parts.policies.map(
      (rule, index): Rule => ({
        ...rule,
        name: `r${index}`,
        from: orStar(rule.from.filter((text) => declared.has(text))),
        to: orStar(rule.to.filter((text) => declared.has(text) || text === 'kind:private')),
      }),
    );
    return mesh({ ...parts, policies });
  });

export const anyHosts: fc.Arbitrary<TestHost[]> = fc
  .tuple(
    ...hostNames.map(() =>
      fc.record({ services: fc.subarray([...names]), roles: fc.subarray<AgentRole>(['gateway']) }),
    ),
  )
  .map((scopes) => scopes.map((scope, index) => ({ host: hostNames[index] ?? '', ...scope })));

function orStar(selectors: string[]): string[] {
  return selectors.length > 0 ? selectors : ['*'];
}
