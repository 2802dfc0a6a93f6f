import type { Mesh } from '@weft/proto';
import { expect, test } from 'vitest';
import type { LiveAgents } from '../fleet/live.ts';
import { current, emptyState, joinHost, mesh, rule, service, tcp } from '../netmap/network.fixture.ts';
import { besideReach, hostReach, inexactRules, type Standing } from './inexact-rules.ts';

const SERVICES = [
  service('web', 'web', tcp(3000)),
  service('redis', 'private', tcp(6379)),
  service('db', 'private', tcp(5432)),
];

/** Hosts with what they may run; what they run is what was reported, and no agent is connected. */
async function network(
  hosts: Readonly<Record<string, readonly string[]>>,
  reported: Readonly<Record<string, readonly string[]>>,
) {
  const state = await emptyState();
  await state.apply(mesh({ services: SERVICES }), { dryRun: false, actor: 'test' });
  for (const [host, services] of Object.entries(hosts)) {
    const { agent } = await joinHost(state, 'prod', { host, services });
    await state.registerInstances(agent.id, reported[host] ?? []);
  }
  return current(state);
}

const ALWAYS = new AbortController().signal;
const silent: LiveAgents = { agent: () => undefined, instance: () => undefined } as unknown as LiveAgents;

test('a rule is named with the hosts where it holds for more than it says, or for nobody', async () => {
  const held = await network(
    {
      'mixed-2': ['web', 'redis'],
      'mixed-1': ['web', 'redis', 'db'],
      single: ['web', 'redis'],
      named: ['web', 'redis'],
    },
    { 'mixed-1': ['web', 'redis'], 'mixed-2': ['redis', 'web'], single: ['web'], named: ['web', 'redis'] },
  );
  const policies = [
    rule('no-web', 'deny', ['web', 'host:named'], ['db']),
    rule('to-db', 'allow', ['kind:web', 'tag:sure'], ['db']),
    rule('not-there', 'allow', ['db'], ['redis']),
    rule('open', 'allow', ['*'], ['redis']),
  ];
  const asked = mesh({
    services: SERVICES,
    defaultAction: 'deny',
    policies,
    agents: [{ name: 'mixed-2', tags: ['sure'], services: [] }],
  });
  expect(await inexactRules(asked, held, silent, ALWAYS)).toEqual([
    {
      field: 'policies[0]',
      message:
        'rule no-web denies every process of mixed-1, mixed-2 that may be web, since none there can be told from another; ' +
        "let match in the hosts' agent files tell their processes apart, give the service a host of its own, or name the hosts",
    },
    {
      field: 'policies[1]',
      message:
        'rule to-db allows nothing to web on mixed-1, named, where no process can be told from another; ' +
        "let match in the hosts' agent files tell their processes apart, give the service a host of its own, or name the hosts",
    },
  ]);
  const open = await inexactRules(mesh({ ...asked, defaultAction: 'allow' }), held, silent, ALWAYS);
  expect(open.map(({ field }) => field)).toEqual(['policies[0]']);
  expect(await inexactRules(asked, undefined, silent, ALWAYS)).toEqual([]);
});

test('a host that a mesh leaves one service to run speaks as it; and rules past a hundred are counted', async () => {
  const held = await network({ mixed: ['*'] }, { mixed: ['web', 'redis'] });
  const many = Array.from({ length: 150 }, (_, at) => rule(`r${at}`, 'deny', ['web'], ['db']));
  const told = await inexactRules(mesh({ services: SERVICES, policies: many }), held, silent, ALWAYS);
  expect(told).toHaveLength(101);
  expect(told.at(-1)?.message).toMatch(/^50 more rules/);
  const less = mesh({ services: SERVICES.filter(({ name }) => name !== 'redis'), policies: many });
  expect(await inexactRules(less, held, silent, ALWAYS)).toEqual([]);
});

test('others have their turn while many hosts and rules are looked at, and what there is no time for is counted', async () => {
  const names = Array.from({ length: 40 }, (_, at) => `s${at}`);
  const services = names.map((name, at) => service(name, 'private', tcp(7_000 + at)));
  const held = await network({ model: ['web', 'redis'] }, { model: ['web', 'redis'] });
  const [member] = [...held.agents.values()];
  const hosts = Array.from({ length: 200 }, (_, at) => `h${1_000 + at}`);
  // No two of them may run the same.
  const grown = {
    ...held,
    hosts: new Map(hosts.map((host) => [host, host])),
    agents: new Map(
      hosts.map((host, at) => [
        host,
        { ...member, id: host, host, granted: names.filter((_, bit) => bit > 7 || ((at >> bit) & 1) === 1) },
      ]),
    ),
  } as typeof held;
  const policies = Array.from({ length: 1_000 }, (_, at) => rule(`r${at}`, 'deny', [`s${8 + (at % 32)}`], ['s0']));
  const asked = mesh({ services, policies });
  let turns = 0;
  const count = (): void => {
    turns += 1;
    next = setImmediate(count);
  };
  let next = setImmediate(count);
  const told = await inexactRules(asked, grown, silent, ALWAYS, 600_000);
  clearImmediate(next);
  expect(turns).toBeGreaterThan(hosts.length);
  expect(told).toHaveLength(101);
  expect(told[0]?.message).toMatch(/^rule r0 denies every process of h1000, h1001, .* and 192 more/);
  expect(await inexactRules(asked, grown, silent, ALWAYS, 0)).toEqual([
    { field: 'policies', message: expect.stringMatching(/ on 200 more hosts was not worked out/) as unknown },
  ]);
});

test('what programs that speak as their host gain and lose is told by host, also where the services there are told apart', async () => {
  const may = ['web', 'redis'];
  const held = await network(
    { 'mixed-2': may, 'mixed-1': may, single: may, laptop: [], named: may },
    // Of the last it is not known that it speaks as its one service.
    { 'mixed-1': may, 'mixed-2': may, single: ['web'], named: ['web'] },
  );
  const apart = { agent: () => ({ report: { toldApart: ['web', 'redis'] } }), instance: () => undefined };
  const live = {
    ...apart,
    agent: (id: string) => {
      const host = held.agents.get(id)?.host;
      if (host === 'single') return { report: { othersAsHost: false } };
      return host === 'mixed-1' ? apart.agent() : undefined;
    },
  } as unknown as LiveAgents;
  const asked = (
    before: Partial<Mesh>,
    after: Partial<Mesh>,
    mostMs?: number,
    signal = new AbortController().signal,
  ) => {
    const [old, now] = [before, after].map((parts) => ({
      mesh: mesh({ services: SERVICES, ...parts }),
      network: held,
    }));
    return hostReach(old as Standing, now as Standing, live, signal, mostMs);
  };
  const between = async (before: Partial<Mesh>, after: Partial<Mesh>) => (await asked(before, after)).reach;
  const shut = { policies: [rule('no-web', 'deny', ['web'], ['db', 'redis:6379', 'web'], [])] };
  const hosts = ['mixed-1', 'mixed-2', 'named'];
  const to = ['web:3000', 'redis:6379', 'db:5432'];
  const told = { hosts, hostCount: 3, to, toCount: 3 };
  expect(await between({}, shut)).toEqual([{ ...told, verdict: 'deny', rule: 'no-web' }]);
  expect(await between(shut, {})).toEqual([{ ...told, verdict: 'allow', rule: 'default' }]);
  expect(await between(shut, shut)).toEqual([]);
  // Who asked may be gone, and the time may be up: the answer comes all the same.
  const unknown = { reach: [], more: 0, left: 5, alone: new Map() };
  expect(await asked({}, shut, 0)).toEqual(unknown);
  expect(await asked({}, shut, undefined, AbortSignal.abort())).toEqual(unknown);
  // What is lost stands before what is gained, and what there is no room for is counted.
  const ports = Array.from({ length: 120 }, (_, at) => 8_000 + at);
  const wide = (name: string, isOpen: (at: number) => boolean): Partial<Mesh> => ({
    services: [...SERVICES, service('wide', 'private', tcp(...ports))],
    policies: ports.map((port, at) =>
      rule(`${name}-${port}`, isOpen(at) ? 'allow' : 'deny', ['*'], ['wide'], tcp(port)),
    ),
  });
  const turned = await asked(
    wide('old', (at) => at >= 60),
    wide('new', (at) => at < 60),
  );
  expect(turned.reach.map(({ verdict }) => verdict)).toEqual([...Array(60).fill('deny'), ...Array(40).fill('allow')]);
  expect(besideReach(turned)).toEqual([
    { field: 'policies', message: expect.stringMatching(/^20 more entries/) as unknown },
  ]);
  // A rule in the place of one that said the same of all, and one host that it names.
  const open = { defaultAction: 'deny', policies: [rule('all', 'allow', ['*'], ['db'])] } as const;
  const narrow = { ...open, policies: [rule('some', 'allow', ['web', 'redis', 'host:named'], ['db'])] };
  expect(await between(open, narrow)).toEqual([
    {
      hosts: ['laptop', 'mixed-1', 'mixed-2'],
      hostCount: 3,
      to: ['db:5432'],
      toCount: 1,
      verdict: 'deny',
      rule: 'default',
    },
  ]);
  // What a port or a worker comes to is no rule's doing; a tag is.
  const more = [service('db', 'private', tcp(5432, 5433)), service('mailer', 'worker')];
  expect(await between({}, { services: more })).toEqual([]);
  const tagged = { agents: [{ name: 'laptop', tags: ['guest'], services: [] }] };
  const guests = { policies: [rule('no-guest', 'deny', ['tag:guest'], ['db'])] };
  expect(await between(guests, { ...guests, ...tagged })).toEqual([
    { hosts: ['laptop'], hostCount: 1, to: ['db:5432'], toCount: 1, verdict: 'deny', rule: 'no-guest' },
  ]);
});

test('a host that comes to run one service, or no more one alone, is judged as what its programs speak as before and after', async () => {
  const may = ['web', 'redis'];
  const held = await network({ mixed: may, single: may, other: may }, { mixed: may, single: ['web'], other: may });
  const live = {
    agent: (id: string) => ({ report: { othersAsHost: held.agents.get(id)?.host === 'mixed' } }),
    instance: () => undefined,
  } as unknown as LiveAgents;
  const grants = (granted: Readonly<Record<string, readonly string[]>>) => ({
    ...held,
    agents: new Map([...held.agents].map(([id, one]) => [id, { ...one, granted: granted[one.host] ?? may }])),
  });
  const asked = async (parts: Partial<Mesh>, before: typeof held, after: typeof held) => {
    const made = mesh({ services: SERVICES, ...parts });
    const sides = [before, after].map((network): Standing => ({ mesh: made, network }));
    return await hostReach(sides[0] as Standing, sides[1] as Standing, live, new AbortController().signal);
  };
  const reachOf = (host: string, verdict: 'allow' | 'deny', rule: string, to = ['db:5432']) => [
    { hosts: [host], hostCount: 1, to, toCount: to.length, verdict, rule },
  ];
  const both = grants({});
  const webAlone = grants({ mixed: ['web'] });
  // What redis was denied its host was denied; web is not.
  const noRedis = { policies: [rule('no-redis', 'deny', ['redis'], ['db'])] };
  const fewer = await asked(noRedis, both, webAlone);
  expect(fewer).toMatchObject({ reach: reachOf('mixed', 'allow', 'default'), left: 0 });
  // Also where match tells web from others there: the host may be redis no more.
  expect(fewer.alone).toEqual(new Map());
  // What web alone may, any program there may from then on, but where match tells it from others.
  const webOnly = { defaultAction: 'deny', policies: [rule('web-only', 'allow', ['web'], ['db'])] } as const;
  const wider = await asked(webOnly, both, webAlone);
  expect(wider.reach).toEqual(reachOf('mixed', 'allow', 'web-only'));
  expect(besideReach(wider)).toEqual([
    {
      field: 'policies',
      message: expect.stringMatching(/^mixed runs web alone after this, .* match of web, /) as unknown,
    },
  ]);
  // And the other way, where its agent says what it is now.
  expect((await asked(webOnly, grants({ other: ['web'] }), both)).reach).toEqual(reachOf('other', 'deny', 'default'));
  const hostOnly = { defaultAction: 'deny', policies: [rule('host', 'allow', ['host:mixed'], ['db'])] } as const;
  expect((await asked(hostOnly, both, webAlone)).reach).toEqual(reachOf('mixed', 'deny', 'default'));
  expect((await asked(hostOnly, webAlone, both)).reach).toEqual([]);
});
