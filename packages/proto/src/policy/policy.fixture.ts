/** Arbitrary rules and parties, for properties. */
import fc from 'fast-check';
import type { Kind, Rule, Service } from '../model/mesh.ts';
import type { CallerUser, Destination, HostSource, Source } from './types.ts';

const names = ['web', 'blog', 'redis', 'mailer'];
const tags = ['a', 'b'];
const tagList = fc.uniqueArray(fc.constantFrom(...tags));
const range = fc
  .record({
    protocol: fc.constantFrom('tcp' as const, 'udp' as const),
    first: fc.integer({ min: 1, max: 6 }),
    width: fc.nat(3),
  })
  .map(({ protocol, first, width }) => ({ protocol, first, last: first + width }));

export const anyService: fc.Arbitrary<Service> = fc
  .record({
    name: fc.constantFrom(...names),
    kind: fc.constantFrom<Kind>('web', 'private', 'worker'),
    ports: fc.array(range, { maxLength: 3 }),
    publicPort: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
    tags: tagList,
  })
  .map(({ publicPort, ...rest }) =>
    publicPort === undefined ? rest : { ...rest, public: { port: publicPort, hosts: ['h'] } },
  );

/** With what it may run. */
export const anyHost: fc.Arbitrary<HostSource> = fc.record({
  type: fc.constant('host' as const),
  name: fc.constantFrom('web', 'h1'),
  tags: tagList,
  services: fc.uniqueArray(anyService, { selector: ({ name }) => name, maxLength: 3 }),
});
export const anySource: fc.Arbitrary<Source> = fc.oneof(
  anyService.map((caller): Source => ({ type: 'service', service: caller })),
  anyHost,
  fc.constant<Source>({ type: 'internet' }),
);
/** None named, nobody known, or one of those. */
export const anyUser: fc.Arbitrary<CallerUser> = fc.constantFrom('', null, 'ann', 'bob');
export const anyDestination: fc.Arbitrary<Destination> = fc.record({
  service: anyService,
  port: fc.integer({ min: 1, max: 9 }),
  protocol: fc.constantFrom('tcp' as const, 'udp' as const),
});

const callee = fc.constantFrom('*', 'kind:web', 'kind:private', 'kind:worker', 'tag:a', 'tag:b', ...names);
const ported = fc.constantFrom('redis:2', 'redis:3/udp', 'web:1-3', 'mailer:4');
export const anyCaller = fc.oneof(callee, fc.constantFrom('host:h1', 'host:web', 'internet', 'user:ann', 'user:bob'));
export const anyRules: fc.Arbitrary<Rule[]> = fc
  .array(
    fc.record({
      action: fc.constantFrom('allow' as const, 'deny' as const),
      from: fc.array(anyCaller, { minLength: 1, maxLength: 3 }),
      to: fc.array(fc.oneof(callee, ported), { minLength: 1, maxLength: 3 }),
      ports: fc.array(range, { maxLength: 2 }),
    }),
    { maxLength: 70 },
  )
  .map((list) =>
    list.map((rule, index) => {
      // Ports stand in one place.
      const named = rule.to.some((text) => text.includes(':') && /\d/.test(text));
      return { name: `r${index}`, ...rule, ports: named ? [] : rule.ports };
    }),
  );
export const anyDefault = fc.constantFrom('allow' as const, 'deny' as const);
