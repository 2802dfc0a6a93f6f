import { describe, expect, test } from 'vitest';
import { FileError } from './errors.ts';
import { parseMeshFile } from './mesh-file.ts';

const GOOD = `network: prod
services:
  web:     { kind: web, ports: [3000], public: { port: 3000, hosts: [shop.example.com], responseTimeout: 1m30s }, description: the shop }
  redis:   { kind: private, ports: [6379], tags: [store] }
  rabbit:  { kind: private, ports: [5672, 15672] }
  statsd:  { kind: private, ports: [8125/udp, 5000-5010/tcp] }
  mailer:  { kind: worker }
default: deny
policies:
  - { name: no-admin-ui, action: deny, from: [web], to: [rabbit], ports: [15672] }
agents:
  build-3: { tags: [ci] }
tests:
  - { from: web, to: "redis:6379", expect: allow }
  - { from: host:build-3, to: "statsd:8125/udp", expect: deny }
`;

function mistakes(content: string): string {
  try {
    parseMeshFile('mesh.yaml', content);
  } catch (error) {
    if (error instanceof FileError) return error.message;
    throw error;
  }
  return '';
}

describe('a mesh file', () => {
  test('becomes a mesh', () => {
    const { mesh } = parseMeshFile('mesh.yaml', GOOD);
    expect(mesh.network).toBe('prod');
    expect(mesh.defaultAction).toBe('deny');
    expect(mesh.services.find(({ name }) => name === 'web')).toEqual({
      name: 'web',
      kind: 'web',
      ports: [{ protocol: 'tcp', first: 3000, last: 3000 }],
      public: { port: 3000, hosts: ['shop.example.com'], responseTimeoutMs: 90_000 },
      tags: [],
      description: 'the shop',
    });
    expect(mesh.services.find(({ name }) => name === 'statsd')?.ports).toEqual([
      { protocol: 'udp', first: 8125, last: 8125 },
      { protocol: 'tcp', first: 5000, last: 5010 },
    ]);
    expect(mesh.services.find(({ name }) => name === 'mailer')).toEqual({
      name: 'mailer',
      kind: 'worker',
      ports: [],
      tags: [],
    });
    expect(mesh.policies[0]?.ports).toEqual([{ protocol: 'any', first: 15672, last: 15672 }]);
    expect(mesh.agents).toEqual([{ name: 'build-3', tags: ['ci'], services: [] }]);
    expect(mesh.tests[1]).toEqual({
      from: 'host:build-3',
      service: 'statsd',
      port: 8125,
      protocol: 'udp',
      expect: 'deny',
    });
  });

  test.each([
    ['auto', []],
    ['[auto]', []],
    ['[auto, 4000]', [{ protocol: 'tcp', first: 4000, last: 4000 }]],
  ])('may have programs publish their ports: %s', (ports, declared) => {
    const { mesh } = parseMeshFile('mesh.yaml', `network: prod\nservices: { dev: { kind: private, ports: ${ports} } }`);
    expect(mesh.services).toEqual([{ name: 'dev', kind: 'private', ports: declared, autoPorts: true, tags: [] }]);
  });

  test('a worker publishes nothing, and a word that is none is told of', () => {
    const read = (service: string) => () => parseMeshFile('mesh.yaml', `network: prod\nservices: { dev: ${service} }`);
    expect(read('{ kind: worker, ports: auto }')).toThrow(/services\.dev\.ports: a worker receives nothing/);
    expect(read('{ kind: private, ports: [auto, 4000, auto] }')).toThrow(/services\.dev\.ports: auto given twice/);
    expect(read('{ kind: private, ports: all }')).toThrow(/expected a list of ports such as .*, or auto, found "all"/);
  });

  test('needs a network and nothing more', () => {
    expect(parseMeshFile('mesh.yaml', 'network: prod\n').mesh).toEqual({
      network: 'prod',
      services: [],
      defaultAction: 'allow',
      policies: [],
      agents: [],
      tests: [],
    });
  });

  test('may have its rules and tests commented out, but not its services', () => {
    const bare = parseMeshFile('mesh.yaml', 'network: prod\npolicies:\n#  - {}\nagents:\ntests:\n').mesh;
    expect(bare).toEqual(parseMeshFile('mesh.yaml', 'network: prod\n').mesh);
    expect(mistakes('network: prod\nservices:\n')).toBe(
      'mesh.yaml:2:10: services: expected a map of services, found nothing',
    );
  });

  test('may be JSON, and may use anchors, aliases and merge keys', () => {
    const json = '{"network": "prod", "services": {"a": {"kind": "private", "ports": [1, "2/udp"]}}}';
    expect(parseMeshFile('mesh.json', json).mesh.services[0]?.ports).toHaveLength(2);
    const merged =
      'network: prod\nservices:\n  a: &a { kind: private, ports: [1] }\n  b: *a\n  c: { <<: *a, ports: [2] }\n';
    expect(parseMeshFile('mesh.yaml', merged).mesh.services.map(({ kind, ports }) => [kind, ports[0]?.first])).toEqual([
      ['private', 1],
      ['private', 1],
      ['private', 2],
    ]);
  });

  test('a name with dots is found where it stands, and one mistake is told once', () => {
    expect(mistakes('network: prod\nservices:\n  a.b: { kind: private, ports: [1] }\n')).toMatch(
      /^mesh\.yaml:3:8: services\.a\.b: "a\.b" is not a service name/,
    );
    expect(mistakes('network: prod\nservices:\n  a: { kind: private, ports: [5, 5, 1-7] }\n')).toBe(
      'mesh.yaml:3:37: services.a.ports[2]: 1-7/tcp overlaps 5; expected each port once',
    );
  });

  test('finds where a field of control stands', () => {
    const file = parseMeshFile('mesh.yaml', GOOD);
    expect(file.problem('services.redis.ports[0]', 'm')).toEqual({
      line: 4,
      column: 37,
      message: 'services.redis.ports[0]: m',
    });
    expect(file.problem('policies[0].to[0]', 'm')).toEqual({ line: 10, column: 58, message: 'policies[0].to[0]: m' });
    expect(file.problem('tests[1]', 'm')).toEqual({ line: 15, column: 5, message: 'tests[1]: m' });
    expect(file.problem('services.redis.nothing.there', 'm')).toEqual({
      line: 4,
      column: 12,
      message: 'services.redis.nothing.there: m',
    });
    expect(file.problem('', 'm')).toEqual({ line: 1, column: 1, message: 'm' });
  });
});

describe('mistakes are told with their place, all at once', () => {
  test.each([
    ['an empty file', '', 'mesh.yaml:1:1: expected a map, found nothing'],
    ['a list', '- web\n', 'mesh.yaml:1:1: expected a map, found a list'],
    [
      'a near miss of a key',
      'network: prod\nservices:\n  redis: { kind: private, prots: [6379] }\n',
      'mesh.yaml:3:27: services.redis: unknown key "prots"; did you mean "ports"? (known here: kind, ports, public, tags, description)',
    ],
    [
      'a time that is none',
      `network: prod
services:
  web: { kind: web, ports: [1], public: { port: 1, hosts: [a.example], responseTimeout: 90 } }
`,
      'mesh.yaml:3:89: services.web.public.responseTimeout: expected a duration, such as 90s, found the number 90',
    ],
    [
      'a near miss of a kind, and a missing one',
      'network: prod\nservices:\n  web: { kind: wbe }\n  redis: { ports: [1] }\n',
      'mesh.yaml:3:16: services.web.kind: expected web, private or worker, found "wbe"; did you mean "web"?\n' +
        'mesh.yaml:4:10: services.redis.kind: missing; expected web, private or worker',
    ],
    [
      'ports of the wrong type and out of range',
      'network: prod\nservices:\n  a:\n    kind: private\n    ports: [0, 70000, 5-3/tcp, x, true, 80/sctp]\n',
      'mesh.yaml:5:13: services.a.ports[0]: "0" is out of range; expected ports from 1 to 65535\n' +
        'mesh.yaml:5:16: services.a.ports[1]: "70000" is out of range; expected ports from 1 to 65535\n' +
        'mesh.yaml:5:23: services.a.ports[2]: "5-3/tcp" ends before it starts; expected PORT, PORT/tcp, PORT/udp, LO-HI/tcp or LO-HI/udp\n' +
        'mesh.yaml:5:32: services.a.ports[3]: "x" is not a port; expected PORT, PORT/tcp, PORT/udp, LO-HI/tcp or LO-HI/udp\n' +
        'mesh.yaml:5:35: services.a.ports[4]: expected a port such as 6379, 8125/udp or 5000-5010/tcp, found the boolean true\n' +
        'mesh.yaml:5:41: services.a.ports[5]: "80/sctp" is not a port; expected PORT, PORT/tcp, PORT/udp, LO-HI/tcp or LO-HI/udp',
    ],
    [
      'ports that are no list',
      'network: prod\nservices:\n  a: { kind: private, ports: 6379 }\n',
      'mesh.yaml:3:30: services.a.ports: expected a list of ports such as 6379, 8125/udp or 5000-5010/tcp, or auto, found the number 6379',
    ],
    [
      'a duplicate key',
      'network: prod\nservices:\n  a: { kind: worker }\n  a: { kind: worker }\n',
      'mesh.yaml:4:3: this key stands twice in one map; each may stand once',
    ],
    [
      'a second document',
      'network: prod\n---\nnetwork: dev\n',
      'mesh.yaml:2:1: a second document begins here; a file holds one',
    ],
    ['another YAML', '%YAML 1.1\n---\nnetwork: prod\n', 'mesh.yaml:1:1: found YAML 1.1, expected YAML 1.2'],
    ['a tag', 'network: !secret prod\n', 'mesh.yaml:1:10: found a tag, expected plain YAML: Unresolved tag: !secret'],
    ['a prototype', 'network: prod\n__proto__: {}\n', 'mesh.yaml:2:1: unknown key "__proto__"'],
    [
      'aliases of nothing, or of what comes later',
      'network: prod\nservices:\n  a: { kind: private, ports: *p }\n  b: { <<: *c, ports: &p [1] }\n',
      'mesh.yaml:3:30: *p names no anchor; expected &p before it\n' +
        'mesh.yaml:4:12: *c names no anchor; expected &c before it',
    ],
    [
      'an alias within what it names',
      'network: prod\nservices: &s\n  <<: *s\n  a: { kind: worker }\n',
      'mesh.yaml:3:7: *s stands within what it names',
    ],
    [
      'an anchor given twice',
      'services:\n  a: &x { kind: worker }\n  b: &x { kind: worker }\n',
      'mesh.yaml:3:9: the anchor &x stands twice; each may stand once',
    ],
    [
      'merges of what is no map',
      'services:\n  a: { <<: 5 }\n  b: &b { kind: worker }\n  c: { <<: [*b, x] }\n  d: { <<: [*b, { tags: [t] }] }\n',
      'mesh.yaml:2:8: << merges maps; expected one, an alias of one such as *name, or a list of such aliases\n' +
        'mesh.yaml:4:8: << merges maps; expected one, an alias of one such as *name, or a list of such aliases',
    ],
    [
      'a tab for an indent',
      'network: prod\nservices:\n\tredis: { kind: worker }\n',
      'mesh.yaml:3:1: found a tab; YAML is indented by spaces alone',
    ],
    [
      'a mark of byte order, which is passed over',
      '\ufeffnetwork: prod\nservices:\n  a: { kind: wbe }\n',
      'mesh.yaml:3:14: services.a.kind: expected web, private or worker, found "wbe"; did you mean "web"?',
    ],
    [
      'a test that names no port',
      'network: prod\ntests:\n  - { from: web, to: redis, expect: maybe }\n',
      'mesh.yaml:3:22: tests[0].to: "redis": not SERVICE:PORT; expected SERVICE:PORT or SERVICE:PORT/udp\n' +
        'mesh.yaml:3:37: tests[0].expect: expected allow or deny, found "maybe"',
    ],
  ])('%s', (_name, content, message) => {
    expect(mistakes(content)).toBe(message);
  });

  test('what only the meaning shows has a place too', () => {
    const content = `network: prod
services:
  mailer: { kind: worker, ports: [25] }
policies:
  - { name: a, action: deny, from: [nobody], to: ["*"] }
`;
    const lines = mistakes(content).split('\n');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/^mesh\.yaml:3:34: services\.mailer\.ports/);
    expect(lines[1]).toMatch(/^mesh\.yaml:5:37: policies\[0\]\.from\[0\]: /);
  });

  test('aliases cannot blow a file up', () => {
    const levels = Array.from({ length: 9 }, (_, level) =>
      level === 0
        ? 'l0: &l0 [x,x,x,x,x,x,x,x,x]'
        : `l${level}: &l${level} [${Array(9)
            .fill(`*l${level - 1}`)
            .join(',')}]`,
    );
    expect(mistakes(`${levels.join('\n')}\n`)).toBe(
      'mesh.yaml:1:1: aliases stand for too much: at most 100 nodes may come from aliases',
    );
  });

  test('a thousand mistakes end in a count', () => {
    const services = Array.from({ length: 1_000 }, (_, index) => `  s${index}: { kind: x }`).join('\n');
    const lines = mistakes(`network: prod\nservices:\n${services}\n`).split('\n');
    expect(lines).toHaveLength(51);
    expect(lines.at(-1)).toBe('mesh.yaml: and 950 more');
  });
});

test.each(['\u009b2J', 'a\u202eb', '\u2028'])('a key that would steer a terminal is told in escapes: %j', (key) => {
  const content = `network: prod\nservices:\n  "${key}": { kind: private, prots: [1] }\n  redis: { "${key}": 1 }\n`;
  const told = mistakes(content);
  expect(told).toContain(`\\u${key.replace(/[ -~]/g, '').charCodeAt(0).toString(16).padStart(4, '0')}`);
  expect(told).not.toMatch(/[^\P{C}\n]|\u2028/u);
});
