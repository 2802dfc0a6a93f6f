import fc from 'fast-check';
import { expect, it } from 'vitest';
import { compilePolicy } from './compile.ts';
import { InexactRules } from './inexact.ts';
import { anyDefault, anyDestination, anyHost, anyRules } from './policy.fixture.ts';

it('names a rule wherever a process of a host is judged otherwise than its service would be', () => {
  fc.assert(
    fc.property(
      anyRules,
      anyDefault,
      anyHost,
      anyDestination,
      fc.boolean(),
      (rules, defaultAction, host, destination, asHost) => {
        const policy = compilePolicy({ revision: 1, defaultAction, rules });
        const index = new InexactRules(rules, defaultAction);
        const runs = host.services.map(({ name }) => name);
        const inexact = new Set(index.on(host, runs, new Set(), asHost).map(({ rule }) => rule.name));
        if (runs.length === 1 && !asHost) {
          expect(inexact.size).toBe(0);
          return;
        }
        const told = policy.decide(host, destination, '');
        for (const service of host.services) {
          const meant = policy.decide({ type: 'service', service }, destination, '');
          if (told.allowed === meant.allowed) continue;
          const own = index.about(host);
          const named = [told.rule, meant.rule].filter((name) => inexact.has(name));
          const about = [told.rule, meant.rule].filter((name) =>
            own.has(rules.findIndex((rule) => rule.name === name)),
          );
          expect([...named, ...about]).not.toEqual([]);
        }
      },
    ),
    { numRuns: 1_000 },
  );
});
