import { type Service, WIRE_LIMITS } from '@weft/proto';
import { describe, expect, test } from 'vitest';
import { parseAgentFile } from '../config/agent-file.ts';
import { sampleNetmap } from '../netmap/sample.fixture.ts';
import { createHostSources } from '../netmap/store.ts';
import type { Sight } from '../owner/sight.ts';
import type { Netmap } from '../words/netmap.ts';
import { mismatches } from './mismatch.ts';

const redis: Service = {
  name: 'redis',
  kind: 'private',
  ports: [
    { protocol: 'tcp', first: 6379, last: 6379 },
    { protocol: 'udp', first: 100, last: 110 },
  ],
  tags: [],
};

const tcp = (port: number) => ({ protocol: 'tcp', first: port, last: port }) as const;
const web: Service = { name: 'web', kind: 'web', ports: [tcp(3000)], tags: ['front'] };

function netmap(
  allowed: readonly string[],
  ruleSet: Netmap['ruleSet'] = { defaultAction: 'allow', rules: [] },
): Netmap {
  const services = new Map(
    [redis, web].map((service) => [service.name, { service, address: '127.91.0.1', instances: [] }]),
  );
  const sample = sampleNetmap({ services, ruleSet, hostSource: createHostSources(services) });
  return { ...sample, self: sample.self && { ...sample.self, services: allowed } };
}

function found(
  content: string,
  allowed: readonly string[] = ['redis'],
  ruleSet?: Netmap['ruleSet'],
  sight: Sight = 'own',
): string[] {
  return mismatches(parseAgentFile('weft.yaml', content), netmap(allowed, ruleSet), sight).map(
    ({ code, subject, message }) => `${code} ${subject}: ${message}`,
  );
}

describe('an agent file against the word of control', () => {
  test('that it covers is no problem', () => {
    const content =
      'services: { redis: { targets: { 6379: "127.0.0.1:1", 105: "127.0.0.1:2", 110/udp: "127.0.0.1:3" } } }';
    expect(found(content)).toEqual([]);
  });

  test('tells a service that the mesh does not declare from one that the token does not allow', () => {
    expect(found('services: { nosuch: {} }')).toEqual([
      expect.stringMatching(/^service-not-declared nosuch: the mesh of network prod declares no service nosuch/),
    ]);
    expect(found('services: { redis: {} }', [])).toEqual([
      expect.stringMatching(/^service-not-allowed redis: control allows this host no service redis/),
    ]);
  });

  test('names each target that no declared port leads to', () => {
    const content = 'services: { redis: { targets: { 7777: "127.0.0.1:1", 105/tcp: "127.0.0.1:2" } } }';
    expect(found(content)).toEqual([
      expect.stringMatching(/^target-not-declared redis:7777: the mesh declares no port 7777 of redis/),
      expect.stringMatching(/^target-not-declared redis:105\/tcp: the mesh declares no port 105\/tcp of redis/),
    ]);
  });

  test('names a gateway that control does not allow', () => {
    expect(found('gateway: { http: "127.0.0.1:0" }')).toEqual([expect.stringMatching(/^gateway-not-allowed /)]);
  });

  const rule = (name: string, action: 'allow' | 'deny', ...from: string[]) => ({
    name,
    action,
    from,
    to: ['*'],
    ports: [],
  });

  test.each([
    [
      'a deny of one of its services',
      'allow',
      rule('r', 'deny', 'web'),
      /^rules-inexact here: rule r denies every process of this host that may be web/,
    ],
    [
      'a deny by tag',
      'allow',
      rule('r', 'deny', 'tag:front'),
      /^rules-inexact here: rule r denies every process of this host that may be web/,
    ],
    [
      'an allow where nothing else permits',
      'deny',
      rule('r', 'allow', 'kind:web'),
      /^rules-inexact here: rule r allows nothing to web on this host/,
    ],
    ['an allow of what all are allowed', 'allow', rule('r', 'allow', 'web'), undefined],
    ['a rule about the host too', 'deny', rule('r', 'allow', 'web', 'host:here'), undefined],
    ['a rule about everyone', 'allow', rule('r', 'deny', '*'), undefined],
    ['a rule about all that it runs', 'allow', rule('r', 'deny', 'web', 'redis'), undefined],
  ] as const)(
    'names each rule that is not enforced as written where two services run: %s',
    (_, defaultAction, one, expected) => {
      const both = found('services: { web: {}, redis: {} }', ['web', 'redis'], { defaultAction, rules: [one] });
      expect(both).toEqual(expected === undefined ? [] : [expect.stringMatching(expected)]);
      expect(found('services: { web: {} }', ['web', 'redis'], { defaultAction, rules: [one] })).toEqual([]);
    },
  );

  test('names a rule once that names several ports', () => {
    const rules = [80, 81, 82, 83].map((port) => ({ ...rule('r', 'deny', 'web'), ports: [tcp(port)] }));
    const [problem = ''] = found('services: { web: {}, redis: {} }', ['web', 'redis'], {
      defaultAction: 'allow',
      rules,
    });
    expect(problem.match(/rule r /g)).toHaveLength(1);
  });

  test('names some of many rules, in as many words as control takes', () => {
    const rules = Array.from({ length: 200 }, (_, index) => rule(`${'r'.repeat(50)}${index}`, 'deny', 'web'));
    const [problem = '', ...more] = found('services: { web: {}, redis: {} }', ['web', 'redis'], {
      defaultAction: 'allow',
      rules,
    });
    expect(more).toEqual([]);
    expect(problem.length).toBeLessThan(WIRE_LIMITS.sentence);
    expect(problem).toMatch(/r0 denies .*; and 197 more rules are not enforced as written;/);
  });

  test.each([
    ['by user', 'services: { redis: { match: { user: "6379" } } }', 'own', []],
    ['by unit, where all is seen', 'services: { redis: { match: { unit: redis } } }', 'all', []],
    [
      'by unit, where only its own is seen',
      'services: { redis: { match: { user: "6379", unit: redis } } }',
      'own',
      [expect.stringMatching(/^match-not-enforced redis: this agent may not look into .* are redis by user and unit /)],
    ],
    [
      'of a user that is not there',
      'services: { redis: { match: { user: no-such-user } } }',
      'all',
      [expect.stringMatching(/^match-no-user redis: .etc.passwd of this host has no user no-such-user, /)],
    ],
    [
      'of one user twice',
      'services: { redis: { match: { user: root } }, web: { match: { user: "0" } } }',
      'all',
      [/redis/, /web/].map(({ source }) =>
        expect.stringMatching(`^match-not-enforced ${source}: every process that fits`),
      ),
    ],
  ] as const)('tells of match where it is not enforced: %s', (_, content, sight, expected) => {
    expect(found(content, ['redis', 'web'], undefined, sight)).toEqual(expected);
  });

  test.each([
    ['no rule where all services are told apart', '{ web: {}, redis: {} }', 'all', 'deny', []],
    ['no allow of one that is', '{ web: { match: { user: "33" } }, redis: {} }', 'own', 'allow', []],
    ['a deny where another is not', '{ web: { match: { user: "33" } }, redis: {} }', 'own', 'deny', [/^rules-inexact/]],
  ] as const)('names, of rules that are not enforced as written, %s', (_, services, sight, action, expected) => {
    const rules = { defaultAction: action === 'deny' ? 'allow' : 'deny', rules: [rule('r', action, 'web')] } as const;
    expect(found(`services: ${services}`, ['web', 'redis'], rules, sight)).toEqual(
      expected.map((form) => expect.stringMatching(form)),
    );
  });
});
