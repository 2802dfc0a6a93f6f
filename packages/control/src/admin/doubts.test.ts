import type { Mesh, Report } from '@weft/proto';
import { expect, it } from 'vitest';
import type { LiveAgent, LiveAgents } from '../fleet/live.ts';
import { EMPTY_REPORT } from '../fleet/report.ts';
import { mesh, networkOf, rule, service, tcp } from '../netmap/network.fixture.ts';
import type { NetworkState } from '../state/types.ts';
import { listenerWarnings, unmetCallers } from './doubts.ts';

const MESH = {
  network: 'prod',
  services: [
    { name: 'bulk', kind: 'private', ports: [{ protocol: 'tcp', first: 20_000, last: 21_023 }], tags: [] },
    { name: 'web', kind: 'web', ports: [{ protocol: 'tcp', first: 3_000, last: 3_000 }], tags: [] },
    // No agent listens for a worker, whatever it declares.
    { name: 'mailer', kind: 'worker', ports: [{ protocol: 'tcp', first: 25, last: 25 }], tags: [] },
  ],
} as unknown as Mesh;

function network(...services: readonly string[]): NetworkState {
  const agents = ['small', 'large', 'silent'].map((host) => [host, { id: host, host }]);
  return {
    agents: new Map(agents as []),
    instances: new Map(services.map((service, at) => [at, { service }])),
  } as unknown as NetworkState;
}

const limits: Record<string, number> = { small: 448, large: 9_488, silent: 0 };
const live = {
  agent: (id: string) => ({ report: { ...EMPTY_REPORT, listeners: limits[id] } as Report }) as LiveAgent,
} as unknown as LiveAgents;

it('names the hosts that can hold fewer places than the mesh has', () => {
  const [warning, ...more] = listenerWarnings(MESH, network('bulk'), live);
  expect(more).toEqual([]);
  expect(warning).toMatchObject({
    field: 'services',
    message: expect.stringMatching(/2049 places in all; small \(448\) can/),
  });
});

it('counts the addresses of instances too, and says nothing where all fits', () => {
  expect(listenerWarnings(MESH, network(...Array(9).fill('bulk')), live)[0]?.message).toContain(
    'small (448), large (9488)',
  );
  const few = { ...MESH, services: MESH.services.slice(1) };
  expect(listenerWarnings(few, network('web', 'mailer'), live)).toEqual([]);
});

it('names the least first, eight at most, and none that it just fits', () => {
  const told = (...most: readonly number[]): string | undefined => {
    const hosts = most.map((_, at) => `h${at}`);
    const agents = new Map(hosts.map((host) => [host, { id: host, host }]));
    const heard = { agent: (id: string) => ({ report: { listeners: most[Number(id.slice(1))] } }) };
    const where = { agents, instances: new Map() } as unknown as NetworkState;
    return listenerWarnings(MESH, where, heard as unknown as LiveAgents)[0]?.message;
  };
  expect(told(1_025)).toBeUndefined();
  expect(told(1_024, 1_025, 3, 2)).toContain('h3 (2), h2 (3), h0 (1024) can hold');
  const eight = [1, 2, 3, 4, 5, 6, 7, 8];
  expect(told(...eight)).toMatch(/h7 \(8\) can hold/);
  expect(told(...eight, 9, 10)).toMatch(/h7 \(8\) and 2 more can hold/);
});

it.runIf(process.platform === 'linux')('asks nothing of a host that was never heard', () => {
  const unheard = { agent: (id: string) => (id === 'small' ? {} : undefined) } as unknown as LiveAgents;
  expect(listenerWarnings({ ...MESH, services: MESH.services.slice(1) }, network(), unheard)).toEqual([]);
});

it.runIf(process.platform === 'linux')('takes its own limit for that of agents to come', () => {
  const services = Array.from({ length: 600 }, (_, at) => ({ ...MESH.services[0], name: `s${at}` }));
  const many = { ...MESH, services } as Mesh;
  expect(listenerWarnings(many, undefined, live)[0]?.message).toMatch(/614400 places.*a host of \d+ files/);
});

it('names hosts and tags by which nobody calls, since each such host speaks as its one service', async () => {
  const declared = mesh({
    services: [service('redis', 'private', tcp(6379)), service('web', 'web', tcp(80), { tags: ['shop'] })],
    agents: ['one', 'two', 'both'].map((name) => ({
      name,
      tags: [name, name === 'both' ? 'some' : 'alone'],
      services: [],
    })),
    policies: [
      rule(
        'by-host',
        'deny',
        ['host:one', 'host:both', 'host:none', 'host:matched', 'host:unheard', 'host:new'],
        ['redis'],
      ),
      rule('by-tag', 'deny', ['tag:alone', 'tag:some', 'tag:shop'], ['redis']),
    ],
    tests: [{ from: 'host:one', service: 'redis', port: 6379, protocol: 'tcp', expect: 'deny' }],
  });
  const held = await networkOf(declared, [
    { host: 'one', services: ['redis'] },
    { host: 'two', services: ['web'] },
    { host: 'both', services: ['redis', 'web'] },
    { host: 'none' },
    { host: 'matched', services: ['web'] },
    { host: 'unheard', services: ['web'] },
  ]);
  const heard = {
    instance: () => undefined,
    agent: (id: string) => {
      const host = held.agents.get(id)?.host;
      return host === 'unheard' ? undefined : { report: { ...EMPTY_REPORT, othersAsHost: host === 'matched' } };
    },
  } as unknown as LiveAgents;
  const remedy = '; name the service, or say by match in the agent file how its processes are known';
  expect(unmetCallers(declared, held, heard, () => new Set())).toEqual([
    {
      field: 'policies[0].from[0]',
      message: `one runs redis alone and speaks as it, so this selects nothing${remedy}`,
    },
    {
      field: 'policies[1].from[0]',
      message: `one, two each run one service and speak as it (redis, web), so this selects nothing${remedy}`,
    },
    { field: 'tests[0].from', message: `one runs redis alone and speaks as it, so this tests for nobody${remedy}` },
  ]);
  expect(unmetCallers(declared, undefined, heard, () => new Set())).toEqual([]);
});

it('names users of whom no host has told, where they are new in a rule', async () => {
  const old = rule('old', 'deny', ['user:gone'], ['redis']);
  const declared = mesh({ services: [service('redis', 'private', tcp(6379))], policies: [old] });
  const held = await networkOf(declared, [{ host: 'data', services: ['redis'] }]);
  const sandboxes = [{ service: 'redis', user: 'jobs' }];
  const heard = {
    instance: () => undefined,
    agent: () => ({ report: { ...EMPTY_REPORT, othersAsHost: true, sandboxes } }),
  } as unknown as LiveAgents;
  const changed = {
    ...declared,
    policies: [old, rule('new', 'allow', ['user:deploy', 'user:jobs', 'user:postgers'], ['redis'])],
  };
  const found = unmetCallers(changed, held, heard, (name) => new Set(name === 'prod' ? ['deploy'] : []));
  expect(found.map(({ field, message }) => [field, message.slice(0, 56)])).toEqual([
    ['policies[1].from[2]', 'the newest flows have no process of user postgers, and w'],
  ]);
  expect(unmetCallers(declared, undefined, heard, () => new Set()).map(({ field }) => field)).toEqual([
    'policies[0].from[0]',
  ]);
  // Who calls is the same by other ports; and what there is no room for is counted.
  const moved = { ...declared, policies: [{ ...old, ports: tcp(6379) }] };
  expect(unmetCallers(moved, held, heard, () => new Set())).toEqual([]);
  const users = Array.from({ length: 130 }, (_, at) => `user:u${at}`);
  const crowd = { ...declared, policies: [rule('crowd', 'deny', users, ['redis'])] };
  const told = unmetCallers(crowd, held, heard, () => new Set());
  expect(told).toHaveLength(101);
  expect(told.at(-1)?.message).toBe('30 more warnings are about users of whom no host tells');
});
