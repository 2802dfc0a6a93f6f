import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Rule, Service } from '../model/mesh.ts';
import { ruleNameProblem } from '../model/names.ts';
import { compilePolicy } from './compile.ts';
import { anyDefault, anyDestination, anyRules, anySource } from './policy.fixture.ts';
import { remedyOf } from './remedy.ts';
import type { Destination, Source } from './types.ts';

const redis: Service = { name: 'redis', kind: 'private', ports: [{ protocol: 'tcp', first: 2, last: 2 }], tags: [] };
const web: Service = { name: 'web', kind: 'web', ports: [], tags: [] };
const source: Source = { type: 'service', service: web };
const destination: Destination = { service: redis, port: 2, protocol: 'tcp' };
const deny: Rule = { name: 'no', action: 'deny', from: ['kind:web'], to: ['redis'], ports: [] };

it('is the one rule that speaks of this flow, under a name that is free', () => {
  const rule = { action: 'allow', from: ['web'], to: ['redis'], ports: [{ protocol: 'tcp', first: 2, last: 2 }] };
  const ask = (rules: readonly Rule[]) => remedyOf({ rules, defaultAction: 'deny', sources: [source], destination });
  expect(ask([])).toEqual({ denies: [], rule: { name: 'web-to-redis-2', ...rule } });
  const taken = { ...deny, name: 'web-to-redis-2', to: ['web'] };
  expect(ask([taken])?.rule?.name).toBe('web-to-redis-2-2');
  expect(ask([deny])).toEqual({ denies: ['no'], rule: { name: 'web-to-redis-2', ...rule } });
});

it('is to take away each deny, where the default permits', () => {
  const rules = [deny, { ...deny, name: 'other' }, { ...deny, name: 'apart', from: ['redis'] }];
  expect(remedyOf({ rules, defaultAction: 'allow', sources: [source], destination })).toEqual({
    ...{ denies: ['no', 'other'], rule: undefined },
  });
  expect(remedyOf({ rules: [], defaultAction: 'allow', sources: [source], destination })).toBeUndefined();
  const worker: Destination = { ...destination, service: { ...redis, kind: 'worker' } };
  expect(remedyOf({ rules: [], defaultAction: 'allow', sources: [source], destination: worker })).toBeUndefined();
});

it('permits when it is applied, and the rule changes no other verdict', () => {
  const others = fc.array(fc.tuple(anySource, anyDestination), { maxLength: 20 });
  fc.assert(
    fc.property(anyRules, anyDefault, anySource, anyDestination, others, (rules, defaultAction, from, to, all) => {
      const policy = (some: readonly Rule[]) => compilePolicy({ revision: 1, defaultAction, rules: some });
      const before = policy(rules).decide(from, to, '');
      const remedy = remedyOf({ rules, defaultAction, sources: [from], destination: to });
      expect(remedy === undefined).toBe(before.allowed || before.rule.startsWith('builtin:'));
      if (remedy === undefined) return;
      const left = rules.filter(({ name }) => !remedy.denies.includes(name));
      const added = remedy.rule === undefined ? [] : [remedy.rule];
      expect(policy([...left, ...added]).decide(from, to, '').allowed).toBe(true);
      // Each of them is needed.
      for (const one of remedy.denies) {
        const kept = rules.filter(({ name }) => name === one || !remedy.denies.includes(name));
        expect(policy([...kept, ...added]).decide(from, to, '').allowed).toBe(false);
      }
      if (remedy.rule === undefined) return;
      expect(policy(left).decide(from, to, '').allowed).toBe(false);
      expect(ruleNameProblem(remedy.rule.name)).toBeUndefined();
      for (const [who, where] of all) {
        const same = isSame(who, from) && where.service.name === to.service.name;
        if (same && where.port === to.port && where.protocol === to.protocol) continue;
        expect(policy([...rules, remedy.rule]).decide(who, where, '').allowed).toBe(
          policy(rules).decide(who, where, '').allowed,
        );
      }
    }),
    { numRuns: 500 },
  );
});

/** By name, as rules know them. */
function isSame(one: Source, other: Source): boolean {
  if (one.type === 'service' && other.type === 'service') return one.service.name === other.service.name;
  return one.type === 'host' && other.type === 'host' && one.name === other.name;
}
