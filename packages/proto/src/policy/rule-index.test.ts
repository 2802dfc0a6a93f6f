import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Rule, Service } from '../model/mesh.ts';
import { compilePolicy } from './compile.ts';
import { RuleIndex, RuleMasks } from './rule-index.ts';
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
  fc.record({ type: fc.constant('host'), name: fc.constantFrom(...names), tags, services: fc.array(service) }),
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
  .array(
    fc.record({
      action: fc.constantFrom('allow', 'deny'),
      from: fc.array(selector, { maxLength: 3 }),
      to: fc.array(selector, { maxLength: 3 }),
    }),
    { maxLength: 6 },
  )
  .map((pairs) => pairs.map((pair, index): Rule => ({ name: `r${index}`, ports: [], ...pair })));

test('finds exactly the rules by which the evaluator decides', () => {
  fc.assert(
    fc.property(rules, source, service, (all, caller, called) => {
      const of = new RuleIndex(all);
      const [from, to] = [of.from(caller), of.to(called)];
      for (const [index, rule] of all.entries()) {
        const alone = compilePolicy({ revision: 1, defaultAction: 'deny', rules: [rule] });
        const verdict = alone.decide(caller, { service: called, port: 80, protocol: 'tcp' }, '');
        expect(from.includes(index) && to.includes(index)).toBe(verdict.rule === rule.name);
      }
    }),
  );
});

const web: Service = { name: 'web', kind: 'web', ports: [{ protocol: 'tcp', first: 80, last: 80 }], tags: ['ci'] };
const ruleOf = (from: string, to: string): Rule => ({ name: from, action: 'deny', from: [from], to: [to], ports: [] });

test('names rules in the order of the file, whichever selector found them', () => {
  for (const selectors of [
    ['web', 'tag:ci', 'kind:web', '*'],
    ['*', 'kind:web', 'tag:ci', 'web'],
  ]) {
    const index = new RuleIndex(selectors.map((each) => ruleOf(each, each)));
    expect(index.from({ type: 'service', service: web })).toEqual([0, 1, 2, 3]);
    expect(index.to(web)).toEqual([0, 1, 2, 3]);
  }
});

describe('what was worked out', () => {
  const masks = new RuleMasks([ruleOf('web', 'web')]);
  const at = (port: number, protocol: 'tcp' | 'udp' = 'tcp') => masks.destination({ service: web, port, protocol });

  test('is kept by service, not by the object that says who calls', () => {
    const kept = masks.source({ type: 'service', service: web });
    expect(masks.source({ type: 'service', service: web })).toBe(kept);
    expect(masks.source({ type: 'service', service: { ...web } })).not.toBe(kept);
    const host: Source = { type: 'host', name: 'a', tags: [], services: [] };
    expect(masks.source(host)).toBe(masks.source(host));
  });

  test('is kept by port and protocol', () => {
    const kept = new Set<unknown>();
    for (let port = 1; port <= 300; port++)
      for (const protocol of ['tcp', 'udp'] as const) kept.add(at(port, protocol));
    expect(kept.size).toBe(600);
    expect(at(80)).toBe(at(80));
    expect(kept).toContain(at(80, 'udp'));
  });

  test('of destinations is forgotten before it grows without bound', () => {
    const fresh = new RuleMasks([ruleOf('web', 'web')]);
    const ask = (port: number) => fresh.destination({ service: web, port, protocol: 'tcp' });
    const first = ask(1);
    for (let port = 2; port <= 8_192; port++) ask(port);
    expect(ask(1)).toBe(first);
    const last = ask(8_193);
    expect(ask(1)).not.toBe(first);
    expect(ask(8_193)).toBe(last);
  });
});
