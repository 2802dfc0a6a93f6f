import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Mesh, Rule, Service } from '../model/mesh.ts';
import { parseSelector } from '../model/selector.ts';
import { compilePolicy, runPolicyTests } from './compile.ts';
import { anyDefault, anyDestination, anyRules, anyService, anySource, anyUser } from './policy.fixture.ts';
import type { CallerUser, Destination, Source } from './types.ts';

/** The policy language read out loud, one rule at a time: slow, and plain to see. */
function plainly(
  list: readonly Rule[],
  fallback: 'allow' | 'deny',
  from: Source,
  to: Destination,
  user: CallerUser = '',
): string {
  const { service: called, port, protocol } = to;
  const declared = called.ports.some((r) => r.protocol === protocol && r.first <= port && port <= r.last);
  if (called.kind === 'worker') return 'deny by builtin:worker';
  if (!declared) return 'deny by builtin:undeclared-port';
  const ingress = called.kind === 'web' && protocol === 'tcp' && called.public?.port === port;
  if (from.type === 'internet' && !ingress) return 'deny by builtin:ingress';
  const matching = list.filter(
    (rule) =>
      rule.from.some(
        (selector) =>
          selects(selector, from) ||
          isUser(selector, from, user, rule) ||
          (rule.action === 'deny' && mayBe(selector, from)),
      ) &&
      rule.to.some((selector) => isCalled(selector, to)) &&
      (rule.ports.length === 0 || rule.ports.some((r) => r.protocol === protocol && r.first <= port && port <= r.last)),
  );
  const deny = matching.find((rule) => rule.action === 'deny');
  if (deny !== undefined) return `deny by ${deny.name}`;
  if (from.type === 'internet') return 'allow by builtin:ingress';
  const allow = matching.find((rule) => rule.action === 'allow');
  return allow === undefined ? `${fallback} by default` : `allow by ${allow.name}`;
}

function isUser(selector: string, from: Source, user: CallerUser, { action }: Rule): boolean {
  if (from.type === 'internet' || !selector.startsWith('user:')) return false;
  return user === null ? action === 'deny' : selector === `user:${user}`;
}

function mayBe(selector: string, from: Source): boolean {
  return from.type === 'host' && from.services.some((one) => selects(selector, { type: 'service', service: one }));
}

/** `redis:2`, `redis:3/udp` and `web:1-3` name ports, of both transports where they say none. */
function isCalled(text: string, { service: called, port, protocol }: Destination): boolean {
  const [, name, first, last = first, only = protocol] = /^(.+):(\d)(?:-(\d))?(?:\/(udp))?$/.exec(text) ?? [];
  if (name === undefined) return selects(text, { type: 'service', service: called });
  return name === called.name && only === protocol && Number(first) <= port && port <= Number(last);
}

function selects(text: string, party: Source): boolean {
  const selector = parseSelector(text);
  if (selector.type === 'any') return true;
  if (party.type === 'internet' || selector.type === 'internet') return party.type === selector.type;
  if (selector.type === 'tag') return (party.type === 'host' ? party : party.service).tags.includes(selector.name);
  if (party.type === 'host') return selector.type === 'host' && selector.name === party.name;
  if (selector.type === 'kind') return selector.name === party.service.kind;
  return selector.type === 'service' && selector.name === party.service.name;
}

describe('the evaluator', () => {
  it('agrees with the language read rule by rule', () => {
    fc.assert(
      fc.property(anyRules, anyDefault, anySource, anyDestination, anyUser, (list, fallback, from, to, user) => {
        const policy = compilePolicy({ revision: 1, defaultAction: fallback, rules: list });
        const verdict = policy.decide(from, to, user);
        const told = `${verdict.allowed ? 'allow' : 'deny'} by ${verdict.rule}`;
        expect(told).toBe(plainly(list, fallback, from, to, user));
        // Where no rule asks for the user, it makes no difference.
        if (!policy.asksUser(to)) expect(policy.decide(from, to, null).allowed).toBe(verdict.allowed);
      }),
      { numRuns: 1_000 },
    );
  });

  it('gives the same verdict in whatever order the rules stand', () => {
    const shuffled = anyRules.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length, maxLength: list.length })),
    );
    fc.assert(
      fc.property(shuffled, anyDefault, anySource, anyDestination, ([one, other], fallback, from, to) => {
        const first = compilePolicy({ revision: 1, defaultAction: fallback, rules: one }).decide(from, to, '');
        const second = compilePolicy({ revision: 1, defaultAction: fallback, rules: other }).decide(from, to, '');
        expect(second.allowed).toBe(first.allowed);
      }),
    );
  });

  it('never allows more for one deny more, nor less for one allow more', () => {
    fc.assert(
      fc.property(anyRules, anyRules, anyDefault, anySource, anyDestination, (list, more, fallback, from, to) => {
        const decide = (all: Rule[]): boolean =>
          compilePolicy({ revision: 1, defaultAction: fallback, rules: all }).decide(from, to, '').allowed;
        const before = decide(list);
        if (!before) expect(decide([...list, ...more.filter(({ action }) => action === 'deny')])).toBe(false);
        if (before) expect(decide([...list, ...more.filter(({ action }) => action === 'allow')])).toBe(true);
      }),
    );
  });

  it('never allows a process of a host more for a service that it may be', () => {
    fc.assert(
      fc.property(anyRules, anyDefault, anySource, anyService, anyDestination, (list, fallback, from, one, to) => {
        if (from.type !== 'host') return;
        const { decide } = compilePolicy({ revision: 1, defaultAction: fallback, rules: list });
        const [before, after] = [from, { ...from, services: [...from.services, one] }].map((who) =>
          decide(who, to, ''),
        );
        if (after?.allowed) expect(before).toMatchObject({ allowed: true, rule: after.rule });
      }),
    );
  });

  it('answers the second time as the first, however many ports are asked', () => {
    const service: Service = {
      name: 'wide',
      kind: 'private',
      ports: [{ protocol: 'tcp', first: 1, last: 20_000 }],
      tags: [],
    };
    const policy = compilePolicy({
      revision: 1,
      defaultAction: 'allow',
      rules: [
        { name: 'no', action: 'deny', from: ['*'], to: ['wide'], ports: [{ protocol: 'tcp', first: 5, last: 9 }] },
      ],
    });
    const denied = (): number => {
      let count = 0;
      for (let port = 1; port <= 20_000; port++) {
        const verdict = policy.decide(
          { type: 'host', name: 'h', tags: [], services: [] },
          { service, port, protocol: 'tcp' },
          '',
        );
        if (!verdict.allowed) count++;
      }
      return count;
    };
    expect([denied(), denied()]).toEqual([5, 5]);
  });
});

describe("a mesh's own tests", () => {
  const mesh: Mesh = {
    network: 'prod',
    services: [
      { name: 'web', kind: 'web', ports: [{ protocol: 'tcp', first: 80, last: 80 }], tags: [] },
      { name: 'mailer', kind: 'worker', ports: [], tags: [] },
    ],
    defaultAction: 'allow',
    policies: [{ name: 'no-ci', action: 'deny', from: ['tag:ci'], to: ['web'], ports: [] }],
    agents: [{ name: 'build-3', tags: ['ci'], services: [] }],
    tests: [
      { from: 'mailer', service: 'web', port: 80, protocol: 'tcp', expect: 'allow' },
      { from: 'host:build-3', service: 'web', port: 80, protocol: 'tcp', expect: 'allow' },
      { from: 'web', service: 'mailer', port: 25, protocol: 'tcp', expect: 'deny' },
      { from: 'internet', service: 'web', port: 80, protocol: 'tcp', expect: 'allow' },
    ],
  };
  it('say what was expected, what came out, and by which rule', () => {
    expect(runPolicyTests(mesh)).toEqual([
      {
        field: 'tests[1]',
        message: 'expected allow, got deny by no-ci: policy no-ci denies host:build-3 to web:80/tcp',
      },
      {
        field: 'tests[3]',
        message:
          "expected allow, got deny by builtin:ingress: the internet reaches only a web service's public port, and web:80/tcp is none",
      },
    ]);
  });
});
