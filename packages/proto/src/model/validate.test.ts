import { describe, expect, it } from 'vitest';
import type { Mesh, PolicyTest, PortRange, Rule, Service } from './mesh.ts';
import { parsePort, parseRulePorts } from './ports.ts';
import { validateMesh } from './validate.ts';

function service(
  name: string,
  kind: Service['kind'],
  ports: (string | number)[] = [],
  extra: Partial<Service> = {},
): Service {
  return { name, kind, ports: ports.map(parsePort), tags: [], ...extra };
}

function rule(changes: Partial<Rule>): Rule {
  return { name: 'r', action: 'deny', from: ['*'], to: ['*'], ports: [], ...changes };
}

const shop: Mesh = {
  network: 'prod',
  services: [
    service('web', 'web', [3000], { public: { port: 3000, hosts: ['shop.example.com'] } }),
    service('redis', 'private', [6379]),
    service('rabbit', 'private', [5672, 15672], { tags: ['queue'] }),
    service('statsd', 'private', ['8125/udp']),
    service('mailer', 'worker'),
  ],
  defaultAction: 'allow',
  policies: [rule({ name: 'no-admin-ui', from: ['web'], to: ['rabbit'], ports: [parsePort(15672)] })],
  agents: [{ name: 'build-3', tags: ['ci'], services: [] }],
  tests: [{ from: 'web', service: 'redis', port: 6379, protocol: 'tcp', expect: 'allow' }],
};

function withService(changed: Service): Mesh {
  return { ...shop, services: [...shop.services.filter(({ name }) => name !== changed.name), changed] };
}

function withRule(changes: Partial<Rule>): Mesh {
  return { ...shop, policies: [rule(changes)] };
}

describe('a valid mesh', () => {
  it('has neither errors nor warnings', () => {
    expect(validateMesh(shop)).toEqual({ errors: [], count: 0, warnings: [] });
  });
});

const fromWeb: PolicyTest = { from: 'web', service: 'redis', port: 6379, protocol: 'tcp', expect: 'allow' };
const many = (count: number): PortRange[] => [{ protocol: 'tcp', first: 1, last: count }];

/** What is wrong, where it is said to be, and a part of what is said. */
const refused: [string, Mesh, string, RegExp][] = [
  ['network name', { ...shop, network: 'Prod' }, 'network', /lower case/],
  ['service name with capitals', withService(service('Api', 'private', [1])), 'services.Api', /not a service name/],
  ['service name that starts with a digit', withService(service('9api', 'private', [1])), 'services.9api', /starting/],
  ['service name that ends in a hyphen', withService(service('api-', 'private', [1])), 'services.api-', /hyphen/],
  [
    'service name of 51 characters',
    withService(service('a'.repeat(51), 'private', [1])),
    `services.${'a'.repeat(51)}`,
    /1 to 50/,
  ],
  ['discovery suffix', withService(service('db-discovery', 'private', [1])), 'services.db-discovery', /-discovery/],
  [
    'service of which no rule could name a port',
    withService(service('tag', 'private', [1])),
    'services.tag',
    /^"tag" is not a service name: tag:PORT in a rule selects by tag; choose another name$/,
  ],
  ['reserved name', withService(service('internet', 'private', [1])), 'services.internet', /reserved/],
  [
    'a name twice',
    { ...shop, services: [...shop.services, service('redis', 'private', [1])] },
    'services.redis',
    /twice/,
  ],
  ['worker with a port', withService(service('mailer', 'worker', [25])), 'services.mailer.ports', /receives nothing/],
  [
    'worker with public',
    withService(service('mailer', 'worker', [], { public: { port: 25, hosts: ['a.b'] } })),
    'services.mailer.public',
    /receives nothing/,
  ],
  ['private without a port', withService(service('redis', 'private')), 'services.redis.ports', /at least one port/],
  [
    'overlap',
    withService(service('redis', 'private', ['10-20', '20/udp', 15])),
    'services.redis.ports[2]',
    /overlaps 10-20/,
  ],
  ['the same port twice', withService(service('redis', 'private', [7, 6, 7])), 'services.redis.ports[2]', /once/],
  [
    '1,025 ports',
    withService({ ...service('redis', 'private'), ports: many(1025) }),
    'services.redis.ports',
    /1025 ports/,
  ],
  [
    'public on a private service',
    withService(service('redis', 'private', [6379], { public: { port: 6379, hosts: ['r.example.com'] } })),
    'services.redis.public',
    /only a web service/,
  ],
  [
    'public port not declared',
    withService(service('web', 'web', [3000], { public: { port: 80, hosts: ['a.example.com'] } })),
    'services.web.public.port',
    /not declared/,
  ],
  [
    'public port declared for UDP alone',
    withService(service('web', 'web', ['53/udp'], { public: { port: 53, hosts: ['a.example.com'] } })),
    'services.web.public.port',
    /TCP/,
  ],
  [
    'public without hosts',
    withService(service('web', 'web', [3000], { public: { port: 3000, hosts: [] } })),
    'services.web.public.hosts',
    /1 to 100/,
  ],
  [
    'a public service with less than a second to answer in',
    withService(
      service('web', 'web', [3000], { public: { port: 3000, hosts: ['a.example'], responseTimeoutMs: 999 } }),
    ),
    'services.web.public.responseTimeout',
    /999 ms; expected 1s to 1h/,
  ],
  [
    'public host with a port',
    withService(service('web', 'web', [3000], { public: { port: 3000, hosts: ['ok.example', 'a.example:80'] } })),
    'services.web.public.hosts[1]',
    /without scheme, port/,
  ],
  [
    'public host of another service, in capitals',
    withService(service('blog', 'web', [80], { public: { port: 80, hosts: ['SHOP.example.com'] } })),
    'services.blog.public.hosts[0]',
    /already leads to web/,
  ],
  [
    'empty description',
    withService(service('redis', 'private', [1], { description: ' ' })),
    'services.redis.description',
    /one line/,
  ],
  [
    'two lines',
    withService(service('redis', 'private', [1], { description: 'a\nb' })),
    'services.redis.description',
    /one line/,
  ],
  [
    'words that turn around',
    withService(service('redis', 'private', [1], { description: 'a\u202eb' })),
    'services.redis.description',
    /one line/,
  ],
  [
    'a long description',
    withService(service('redis', 'private', [1], { description: 'x'.repeat(201) })),
    'services.redis.description',
    /200/,
  ],
  ['bad tag', withService(service('redis', 'private', [1], { tags: ['a b'] })), 'services.redis.tags[0]', /letters/],
  ['tag twice', withService(service('redis', 'private', [1], { tags: ['a', 'a'] })), 'services.redis.tags[1]', /twice/],
  ['host name', { ...shop, agents: [{ name: 'Build', tags: [], services: [] }] }, 'agents.Build', /not a host name/],
  ['policy name', withRule({ name: 'default' }), 'policies[0].name', /reserved/],
  ['policy named like a built-in', withRule({ name: 'builtin:worker' }), 'policies[0].name', /letters/],
  ['policy name twice', { ...shop, policies: [rule({}), rule({})] }, 'policies[1].name', /earlier policy/],
  ['unknown service in from', withRule({ from: ['web', 'nobody'] }), 'policies[0].from[1]', /no service "nobody"/],
  ['unknown kind', withRule({ to: ['kind:public'] }), 'policies[0].to[0]', /kind:web, kind:private/],
  ['the internet in to', withRule({ to: ['internet'] }), 'policies[0].to[0]', /the internet receives nothing/],
  ['a port in from', withRule({ from: ['web:3000'] }), 'policies[0].from[0]', /selects nothing/],
  ['a port of a service there is not', withRule({ to: ['nobody:80'] }), 'policies[0].to[0]', /no service "nobody"/],
  ['a port that is none', withRule({ to: ['redis:0'] }), 'policies[0].to[0]', /out of range/],
  [
    'ports in two places',
    withRule({ to: ['redis:6379'], ports: [parsePort('6379')] }),
    'policies[0].to[0]',
    /expected one of/,
  ],
  ['host in to', withRule({ to: ['host:build-3'] }), 'policies[0].to[0]', /a host receives nothing/],
  ['a user that is none', withRule({ from: ['user:www data'] }), 'policies[0].from[0]', /1 to 32 lower case/],
  ['a user in to', withRule({ to: ['user:www-data'] }), 'policies[0].to[0]', /a user receives nothing/],
  ['nobody in from', withRule({ from: [] }), 'policies[0].from', /1 to 256/],
  ['unknown caller in a test', { ...shop, tests: [{ ...fromWeb, from: 'nobody' }] }, 'tests[0].from', /no caller/],
  ['unknown service in a test', { ...shop, tests: [{ ...fromWeb, service: 'nobody' }] }, 'tests[0].to', /no service/],
  [
    '10,001 policies',
    { ...shop, policies: Array.from({ length: 10_001 }, (_, n) => rule({ name: `r${n}` })) },
    'policies',
    /10001/,
  ],
];

describe('errors', () => {
  it.each(refused)('%s', (_what, mesh, field, message) => {
    const { errors } = validateMesh(mesh);
    expect(errors.map((error) => error.field)).toEqual([field]);
    expect(errors[0]?.message).toMatch(message);
  });

  it('lists all that is wrong, in the order of the file, and not without end', () => {
    const services = Array.from({ length: 600 }, (_, n) => service(`s${n}`, 'private'));
    const { errors, count } = validateMesh({ ...shop, services, policies: [], tests: [] });
    expect([errors.length, count]).toEqual([500, 600]);
    expect(errors[1]?.field).toBe('services.s1.ports');
  });
});

/** With a web service that declares more than its public port. */
function onWideWeb(changes: Partial<Rule>): Mesh {
  const web = service('web', 'web', [3000, 3001, '3000/udp'], { public: { port: 3000, hosts: ['shop.example.com'] } });
  return { ...withService(web), policies: [rule(changes)] };
}

const doubtful: [string, Mesh, string, RegExp][] = [
  [
    'allow from the internet',
    withRule({ action: 'allow', from: ['internet'] }),
    'policies[0].from[0]',
    /opens nothing/,
  ],
  [
    'deny of the internet to a private service',
    withRule({ from: ['web', 'internet'], to: ['redis', 'kind:private'] }),
    'policies[0].from[1]',
    /^the internet reaches what is declared public and nothing else, so this closes nothing$/,
  ],
  [
    'deny of the internet to a port that is not public',
    onWideWeb({ from: ['internet'], to: ['web:3001'] }),
    'policies[0].from[0]',
    /closes nothing/,
  ],
  [
    'the same by ports, and by transport',
    onWideWeb({ from: ['internet'], to: ['web'], ports: [parsePort('3000/udp')] }),
    'policies[0].from[0]',
    /closes nothing/,
  ],
  [
    'deny of the internet to a private service beside a public one',
    withRule({ from: ['internet'], to: ['web', 'redis'] }),
    'policies[0].to[1]',
    /^redis is not public, and the internet reaches nothing else, so this closes nothing$/,
  ],
  [
    'port in to that nobody declares',
    withRule({ to: ['redis:6380'] }),
    'policies[0].to[0]',
    /redis does not declare 6380/,
  ],
  ['port of a worker', withRule({ to: ['mailer:25'] }), 'policies[0].to[0]', /closes nothing more/],
  ['allow to a worker', withRule({ action: 'allow', to: ['mailer'] }), 'policies[0].to[0]', /opens nothing/],
  [
    'deny to a tag of workers alone',
    {
      ...withService(service('mailer', 'worker', [], { tags: ['jobs'] })),
      policies: [rule({ to: ['tag:queue', 'tag:jobs'] })],
    },
    'policies[0].to[1]',
    /a worker receives nothing, so this closes nothing more/,
  ],
  ['deny to workers', withRule({ to: ['redis', 'kind:worker'] }), 'policies[0].to[1]', /closes nothing more/],
  ['unknown tag', withRule({ from: ['tag:nowhere'] }), 'policies[0].from[0]', /no service and no agent/],
  ['tag of agents alone in to', withRule({ to: ['tag:ci'] }), 'policies[0].to[0]', /agents receive nothing/],
  [
    'kind that no service is of',
    { ...withRule({ to: ['kind:web'] }), services: [service('redis', 'private', [6379])], tests: [] },
    'policies[0].to[0]',
    /no service of the kind web/,
  ],
  [
    'port that nobody declares of either transport',
    withRule({ to: ['redis'], ports: [parseRulePorts('6380')] }),
    'policies[0].ports[0]',
    /^6380 is declared by none/,
  ],
  [
    'port nobody declares',
    withRule({ to: ['redis'], ports: [parsePort('6379/udp')] }),
    'policies[0].ports[0]',
    /none of/,
  ],
];

describe('warnings', () => {
  it.each(doubtful)('%s', (_what, mesh, field, message) => {
    const { errors, warnings } = validateMesh(mesh);
    expect(errors).toEqual([]);
    expect(warnings.map((warning) => warning.field)).toEqual([field]);
    expect(warnings[0]?.message).toMatch(message);
  });

  it.each([
    ['a public port that is closed to the internet', withRule({ from: ['internet'], to: ['web:3000'] })],
    [
      'the internet kept out of what may be public one day',
      withRule({ from: ['internet'], to: ['kind:web', 'tag:queue'] }),
    ],
    ['the internet kept out of everything', withRule({ from: ['internet'], to: ['*'] })],
    ['a private service closed to more than the internet', withRule({ from: ['*'], to: ['redis'] })],
    ['services that are called as selectors are', withService(service('user', 'private', [1]))],
    ['a tag of a service', withRule({ from: ['tag:queue'] })],
    ['a tag of an agent', withRule({ from: ['tag:ci'] })],
    ['a host that has not joined', withRule({ from: ['host:elsewhere'] })],
    ['a range that only touches a declared port', withRule({ to: ['redis'], ports: [parsePort('6000-7000')] })],
    ['a port of which to declares one transport', withRule({ to: ['statsd'], ports: [parseRulePorts(8125)] })],
    ['a port under a selector that may grow', withRule({ to: ['redis', '*'], ports: [parsePort(1)] })],
  ])('none for %s', (_what, mesh) => {
    expect(validateMesh(mesh)).toEqual({ errors: [], count: 0, warnings: [] });
  });
});
