import { describe, expect, it } from 'vitest';
import type { Action, Mesh, Rule, Service } from '../model/mesh.ts';
import { parsePort, parseRulePorts } from '../model/ports.ts';
import { parseDestination, resolveSource } from '../model/selector.ts';
import { compilePolicy } from './compile.ts';
import type { CallerUser } from './types.ts';

function service(
  name: string,
  kind: Service['kind'],
  ports: (string | number)[],
  extra: Partial<Service> = {},
): Service {
  return { name, kind, ports: ports.map(parsePort), tags: [], ...extra };
}

const services: Service[] = [
  service('web', 'web', [3000, 9090], { public: { port: 3000, hosts: ['shop.example.com'] } }),
  service('blog', 'web', [80]),
  service('redis', 'private', [6379, '6379/udp'], { tags: ['data'] }),
  service('rabbit', 'private', [5672, 15672], { tags: ['data'] }),
  service('mailer', 'worker', []),
];
const agents = [{ name: 'build-3', tags: ['ci'], services: [] }];
/** Beside what is declared, a name that is not. */
const MAY_RUN: Readonly<Record<string, readonly string[]>> = { 'data-1': ['redis', 'mailer', 'gone'] };

function rule(name: string, action: Action, from: string, to: string, ports: (string | number)[] = []): Rule {
  return { name, action, from: from.split(' '), to: to.split(' '), ports: ports.map(parseRulePorts) };
}

/** `allow by default` for a flow written as `web > redis:6379`. */
function verdict(flow: string, defaultAction: Action, rules: readonly Rule[], known = services): string {
  const [from, to] = flow.split(' > ');
  const mesh: Pick<Mesh, 'services' | 'agents'> = { services: known, agents };
  const source = resolveSource(from ?? '', mesh, (host) => MAY_RUN[host] ?? []);
  const { port, protocol, ...called } = parseDestination(to ?? '');
  const destination = known.find(({ name }) => name === called.service);
  if (source === undefined || destination === undefined) throw new Error(`no such flow: ${flow}`);
  const {
    allowed,
    rule: decider,
    revision,
  } = compilePolicy({ revision: 7, defaultAction, rules }).decide(
    source,
    {
      service: destination,
      port,
      protocol,
    },
    '',
  );
  expect(revision).toBe(7);
  return `${allowed ? 'allow' : 'deny'} by ${decider}`;
}

it.each([
  [6379, ['deny', 'deny']],
  ['6000-7000', ['deny', 'deny']],
  ['6379/tcp', ['deny', 'allow']],
  ['6379/udp', ['allow', 'deny']],
  ['1-65535/udp', ['allow', 'deny']],
])('a rule on the port %s is about the transport that it names, or else about both', (port, verdicts) => {
  const no = [rule('no', 'deny', '*', 'redis', [port])];
  const found = ['web > redis:6379', 'web > redis:6379/udp'].map((flow) => verdict(flow, 'allow', no).split(' ')[0]);
  expect(found).toEqual(verdicts);
});

describe('who may reach whom, without a rule', () => {
  it.each([
    // from \ to: web, private and worker services, and ports that they declare and do not.
    ['internet > web:3000', 'allow by builtin:ingress', 'allow by builtin:ingress'],
    ['internet > web:9090', 'deny by builtin:ingress', 'deny by builtin:ingress'],
    ['internet > web:3001', 'deny by builtin:undeclared-port', 'deny by builtin:undeclared-port'],
    ['internet > blog:80', 'deny by builtin:ingress', 'deny by builtin:ingress'],
    ['internet > redis:6379', 'deny by builtin:ingress', 'deny by builtin:ingress'],
    ['internet > mailer:25', 'deny by builtin:worker', 'deny by builtin:worker'],
    ['web > web:9090', 'allow by default', 'deny by default'],
    ['web > blog:80', 'allow by default', 'deny by default'],
    ['web > redis:6379', 'allow by default', 'deny by default'],
    ['web > redis:6379/udp', 'allow by default', 'deny by default'],
    ['web > redis:6380', 'deny by builtin:undeclared-port', 'deny by builtin:undeclared-port'],
    ['web > rabbit:5672/udp', 'deny by builtin:undeclared-port', 'deny by builtin:undeclared-port'],
    ['web > mailer:25', 'deny by builtin:worker', 'deny by builtin:worker'],
    ['redis > web:3000', 'allow by default', 'deny by default'],
    ['redis > rabbit:5672', 'allow by default', 'deny by default'],
    ['redis > mailer:25', 'deny by builtin:worker', 'deny by builtin:worker'],
    ['mailer > web:3000', 'allow by default', 'deny by default'],
    ['mailer > redis:6379', 'allow by default', 'deny by default'],
    ['mailer > mailer:25', 'deny by builtin:worker', 'deny by builtin:worker'],
    ['host:build-3 > web:3000', 'allow by default', 'deny by default'],
    ['host:build-3 > redis:6379', 'allow by default', 'deny by default'],
    ['host:build-3 > mailer:25', 'deny by builtin:worker', 'deny by builtin:worker'],
  ])('%s: %s; under default deny: %s', (flow, underAllow, underDeny) => {
    expect(verdict(flow, 'allow', [])).toBe(underAllow);
    expect(verdict(flow, 'deny', [])).toBe(underDeny);
  });
});

describe('no rule opens what the kinds close', () => {
  const open = [rule('open', 'allow', '*', '*'), rule('named', 'allow', 'web host:build-3', 'mailer redis')];
  it.each([
    ['internet > redis:6379', 'deny by builtin:ingress'],
    ['internet > web:9090', 'deny by builtin:ingress'],
    ['internet > mailer:25', 'deny by builtin:worker'],
    ['web > mailer:25', 'deny by builtin:worker'],
    ['web > redis:1', 'deny by builtin:undeclared-port'],
  ])('%s: %s', (flow, expected) => {
    expect(verdict(flow, 'allow', open)).toBe(expected);
  });
  it('not even for a worker that claims to have a port', () => {
    const forged = [...services.slice(0, 4), service('mailer', 'worker', [25], { public: { port: 25, hosts: [] } })];
    expect(verdict('web > mailer:25', 'allow', open, forged)).toBe('deny by builtin:worker');
    expect(verdict('internet > mailer:25', 'allow', open, forged)).toBe('deny by builtin:worker');
  });
  it('nor for a private service that claims to be public', () => {
    const forged = [...services, service('db', 'private', [80], { public: { port: 80, hosts: [] } })];
    expect(verdict('internet > db:80', 'allow', open, forged)).toBe('deny by builtin:ingress');
  });
});

describe('a service whose programs publish ports', () => {
  const auto = [...services, service('ftp', 'private', [21], { autoPorts: true })];
  it.each([
    ['web > ftp:21', 'allow by default', 'deny by default'],
    ['web > ftp:40000', 'allow by default', 'deny by no'],
    ['web > ftp:40000/udp', 'allow by default', 'deny by default'],
    ['internet > ftp:40000', 'deny by builtin:ingress', 'deny by builtin:ingress'],
  ])('%s: %s; by a rule that names ports under default deny: %s', (flow, open, closed) => {
    expect(verdict(flow, 'allow', [], auto)).toBe(open);
    expect(verdict(flow, 'deny', [rule('no', 'deny', '*', 'ftp', ['1024-65535/tcp'])], auto)).toBe(closed);
  });
});

describe('selectors', () => {
  it.each([
    // A rule that denies, a flow that it is about, and one that it is not about.
    ['web', 'redis', [], 'web > redis:6379', 'blog > redis:6379'],
    ['web', 'redis', [], 'web > redis:6379/udp', 'web > rabbit:5672'],
    ['web', 'redis', ['6379/tcp'], 'web > redis:6379', 'web > redis:6379/udp'],
    ['web', 'rabbit', ['15000-16000'], 'web > rabbit:15672', 'web > rabbit:5672'],
    ['kind:web', 'kind:private', [], 'blog > redis:6379', 'mailer > redis:6379'],
    ['kind:worker', 'redis', [], 'mailer > redis:6379', 'web > redis:6379'],
    ['tag:data', '*', [], 'redis > web:3000', 'mailer > web:3000'],
    ['*', 'tag:data', [], 'mailer > redis:6379', 'mailer > web:3000'],
    ['host:build-3', '*', [], 'host:build-3 > redis:6379', 'host:laptop > redis:6379'],
    ['tag:ci', '*', [], 'host:build-3 > redis:6379', 'host:laptop > redis:6379'],
    ['*', 'redis', [], 'host:laptop > redis:6379', 'host:laptop > web:3000'],
    ['host:web', '*', [], 'host:web > redis:6379', 'web > redis:6379'],
    ['web', '*', [], 'web > redis:6379', 'host:web > redis:6379'],
    ['web blog', 'redis rabbit', [], 'blog > rabbit:5672', 'mailer > rabbit:5672'],
  ])('deny from %s to %s %j', (from, to, ports, about, other) => {
    expect(verdict(about, 'allow', [rule('no', 'deny', from, to, ports)])).toBe('deny by no');
    expect(verdict(other, 'allow', [rule('no', 'deny', from, to, ports)])).toBe('allow by default');
    expect(verdict(about, 'deny', [rule('yes', 'allow', from, to, ports)])).toBe('allow by yes');
    expect(verdict(other, 'deny', [rule('yes', 'allow', from, to, ports)])).toBe('deny by default');
  });
});

describe('the internet', () => {
  it.each([
    ['closed by a deny from everyone', rule('closed', 'deny', '*', 'web'), 'deny by closed'],
    ['closed by a deny of that port', rule('closed', 'deny', '*', 'kind:web', [3000]), 'deny by closed'],
    ['open beside a deny of another port', rule('closed', 'deny', '*', 'web', [9090]), 'allow by builtin:ingress'],
    [
      'open beside a deny from a kind',
      rule('closed', 'deny', 'kind:web kind:private', '*'),
      'allow by builtin:ingress',
    ],
    ['open without an allow', rule('yes', 'allow', '*', 'web'), 'allow by builtin:ingress'],
  ])('is %s', (_what, only, expected) => {
    expect(verdict('internet > web:3000', 'deny', [only])).toBe(expected);
  });
});

describe('several rules', () => {
  const rules = [
    rule('give', 'allow', 'web', 'redis'),
    rule('take-2', 'deny', 'web', 'tag:data'),
    rule('take-1', 'deny', '*', 'redis'),
  ];
  it('a deny beats an allow, and the first of the file answers', () => {
    expect(verdict('web > redis:6379', 'allow', rules)).toBe('deny by take-2');
    expect(verdict('mailer > redis:6379', 'allow', rules)).toBe('deny by take-1');
  });
  it('the first allow of the file answers', () => {
    const gifts = [rule('b', 'allow', 'web', '*'), rule('a', 'allow', '*', '*')];
    expect(verdict('web > redis:6379', 'deny', gifts)).toBe('allow by b');
    expect(verdict('mailer > redis:6379', 'deny', gifts)).toBe('allow by a');
  });
  it('finds the one that matters among thousands', () => {
    const noise = Array.from({ length: 5_000 }, (_, n) => rule(`n${n}`, n % 2 ? 'allow' : 'deny', `s${n}`, `d${n}`));
    const all = [...noise, rule('last', 'deny', 'mailer', 'rabbit', [15672])];
    expect(verdict('mailer > rabbit:15672', 'allow', all)).toBe('deny by last');
    expect(verdict('mailer > rabbit:5672', 'allow', all)).toBe('allow by default');
  });
});

describe('a process of a host that may run redis and mailer', () => {
  it.each([
    // What a rule says of callers: whether it holds for such a process where it denies, and where it allows.
    ['redis', 'deny by r', 'deny by default'],
    ['mailer', 'deny by r', 'deny by default'],
    ['kind:worker', 'deny by r', 'deny by default'],
    ['tag:data', 'deny by r', 'deny by default'],
    ['*', 'deny by r', 'allow by r'],
    ['host:data-1', 'deny by r', 'allow by r'],
    ['web', 'allow by default', 'deny by default'],
    ['gone', 'allow by default', 'deny by default'],
    ['kind:web', 'allow by default', 'deny by default'],
    ['tag:ci', 'allow by default', 'deny by default'],
    ['host:build-3', 'allow by default', 'deny by default'],
  ])('from %s', (from, denies, allows) => {
    expect(verdict('host:data-1 > web:3000', 'allow', [rule('r', 'deny', from, 'web')])).toBe(denies);
    expect(verdict('host:data-1 > web:3000', 'deny', [rule('r', 'allow', from, 'web')])).toBe(allows);
  });

  it('is denied by what is about one of them whatever allows it by its host', () => {
    const rules = [rule('yes', 'allow', 'host:data-1', '*'), rule('no', 'deny', 'mailer', 'web', [3000])];
    expect(verdict('host:data-1 > web:3000', 'allow', rules)).toBe('deny by no');
    expect(verdict('host:data-1 > web:9090', 'deny', rules)).toBe('allow by yes');
    expect(verdict('redis > web:3000', 'allow', rules)).toBe('allow by default');
  });

  it.each([
    ['mailer', 'policy r denies host:data-1, which may be mailer, to web:3000/tcp'],
    ['mailer host:data-1', 'policy r denies host:data-1 to web:3000/tcp'],
    ['*', 'policy r denies host:data-1 to web:3000/tcp'],
  ])('is told why a rule about %s denies it', (from, reason) => {
    const source = resolveSource('host:data-1', { services, agents }, (host) => MAY_RUN[host] ?? []);
    const [called] = services;
    if (source === undefined || called === undefined) throw new Error('no such flow');
    const policy = compilePolicy({ revision: 1, defaultAction: 'allow', rules: [rule('r', 'deny', from, 'web')] });
    expect(policy.decide(source, { service: called, port: 3000, protocol: 'tcp' }, '').reason).toBe(reason);
  });
});

describe('one compiled policy', () => {
  it.each([
    ['tcp', 'udp'],
    ['udp', 'tcp'],
  ] as const)('tells %s from %s, whichever is asked first and however often', (first, second) => {
    const called = service('dns', 'private', [53, '53/udp']);
    const policy = compilePolicy({
      revision: 1,
      defaultAction: 'allow',
      rules: [rule('no', 'deny', '*', 'dns', ['53/tcp'])],
    });
    const source = { type: 'host', name: 'a', tags: [], services: [] } as const;
    for (const protocol of [first, second, first, second]) {
      const { allowed } = policy.decide(source, { service: called, port: 53, protocol }, '');
      expect([protocol, allowed]).toEqual([protocol, protocol === 'udp']);
    }
  });
});

describe('the same name with other tags', () => {
  it('is asked about anew', () => {
    const policy = compilePolicy({ revision: 1, defaultAction: 'allow', rules: [rule('no', 'deny', 'tag:ci', '*')] });
    const destination = { service: service('redis', 'private', [6379]), port: 6379, protocol: 'tcp' } as const;
    const host = { type: 'host', name: 'a', services: [] } as const;
    expect(policy.decide({ ...host, tags: ['ci'] }, destination, '').allowed).toBe(false);
    expect(policy.decide({ ...host, tags: [] }, destination, '').allowed).toBe(true);
  });
});

describe('a rule about users', () => {
  const [web, , redis] = services;
  if (web === undefined || redis === undefined) throw new Error('not declared');
  const host = { type: 'host', name: 'build-3', tags: [], services: [web] } as const;
  const asService = { type: 'service', service: web } as const;
  const to = { service: redis, port: 6379, protocol: 'tcp' } as const;
  const noBob = rule('no-bob', 'deny', 'user:bob', 'redis');
  const ann = rule('let-ann', 'allow', 'user:ann', 'redis', [6379]);
  const cases: readonly [string, Action, readonly Rule[], CallerUser, string][] = [
    ['denies who it names', 'allow', [noBob], 'bob', 'deny by no-bob'],
    ['denies nobody else', 'allow', [noBob], 'ann', 'allow by default'],
    ['denies none that no rule names', 'allow', [noBob], '', 'allow by default'],
    ['denies nobody else', 'allow', [noBob], '', 'allow by default'],
    ['denies who is not known, and may be one', 'allow', [noBob], null, 'deny by no-bob'],
    ['allows who it names', 'deny', [ann], 'ann', 'allow by let-ann'],
    ['allows nobody else', 'deny', [ann], 'bob', 'deny by default'],
    ['allows nobody who is not known', 'deny', [ann], null, 'deny by default'],
    [
      'gives way to a deny of the service',
      'deny',
      [ann, rule('no-web', 'deny', 'web', 'redis')],
      'ann',
      'deny by no-web',
    ],
  ];
  it.each(cases)('%s', (_, defaultAction, rules, user, expected) => {
    const policy = compilePolicy({ revision: 1, defaultAction, rules });
    for (const source of [asService, host]) {
      const told = policy.decide(source, to, user);
      expect(`${told.allowed ? 'allow' : 'deny'} by ${told.rule}`).toBe(expected);
    }
  });

  it('is asked for where it is about the destination, and not of the internet', () => {
    const policy = compilePolicy({
      revision: 1,
      defaultAction: 'allow',
      rules: [ann, rule('r', 'deny', 'user:bob', 'web')],
    });
    expect(policy.asksUser(to)).toBe(true);
    expect(policy.asksUser({ ...to, protocol: 'udp' })).toBe(true);
    expect(policy.asksUser({ ...to, service: { ...redis, name: 'db', tags: [] } })).toBe(false);
    expect(policy.decide({ type: 'internet' }, { service: web, port: 3000, protocol: 'tcp' }, null).allowed).toBe(true);
  });
});
