import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Rule, Service } from '../model/mesh.ts';
import { compilePolicy } from './compile.ts';
import { RuleIndex } from './rule-index.ts';
import type { Source } from './types.ts';

const names = ['web', 'redis', 'mailer'];
const tags = fc.uniqueArray(fc.constantFrom('ci', 'eu', 'web'), { maxLength: 2 });
const service: fc.Arbitrary<Service> = fc.record({
  name: fc.constantFrom(...names),
  kind: fc.constantFrom('web', 'private'),
  ports: fc.constant([{ protocol: 'tcp', first: 80, last: 80 }]),
  tags,
});
const source: fc.Arbitrary<Source> = fc.oneof(
  service.map((caller): Source => ({ type: 'service', service: caller })),
  fc.record({ type: fc.constant('host'), name: fc.constantFrom(...names), tags }),
);
const selector = fc.constantFrom(
  '*',
  ...names,
  'kind:web',
  'kind:private',
  'host:web',
  'host:redis',
  'tag:ci',
  'tag:web',
);
const rules: fc.Arbitrary<Rule[]> = fc
  .array(fc.record({ from: fc.array(selector, { maxLength: 3 }), to: fc.array(selector, { maxLength: 3 }) }), {
    maxLength: 6,
  })
  .map((pairs) => pairs.map((pair, index): Rule => ({ name: `r${index}`, action: 'allow', ports: [], ...pair })));

test('finds exactly the rules by which the evaluator decides', () => {
  fc.assert(
    fc.property(rules, source, service, (all, caller, called) => {
      const of = new RuleIndex(all);
      const [from, to] = [of.from(caller), of.to(called)];
      for (const [index, rule] of all.entries()) {
        const alone = compilePolicy({ revision: 1, defaultAction: 'deny', rules: [rule] });
        const verdict = alone.decide(caller, { service: called, port: 80, protocol: 'tcp' });
        expect(from.includes(index) && to.includes(index)).toBe(verdict.allowed);
      }
    }),
  );
});
