import type { Mesh, NetmapItem } from '@weft/proto';
import { describe, expect, test } from 'vitest';
import { agentOn, allWell, mesh, networkOf, rule, service, type TestHost, tcp } from './network.fixture.ts';
import { view } from './view.fixture.ts';

const services = [
  service('web', 'web', tcp(3000), { public: { port: 3000, hosts: ['shop.example.com'] } }),
  service('redis', 'private', tcp(6379)),
  service('rabbit', 'private', tcp(5672, 15672)),
  service('mailer', 'worker'),
];
const hosts: TestHost[] = [
  { host: 'front', services: ['web'] },
  { host: 'data', services: ['redis', 'rabbit'] },
  { host: 'jobs', services: ['mailer'] },
  { host: 'edge', roles: ['gateway'] },
  { host: 'idle' },
];

/** What each host learns of others: hosts it is given keys of, and workers it is told of. */
async function learned(declared: Partial<Mesh>): Promise<Record<string, string>> {
  const network = await networkOf(mesh({ services, ...declared }), hosts);
  const presences = allWell(network);
  const table: Record<string, string> = {};
  for (const { host } of hosts) {
    const items = [...view(network, presences, agentOn(network, host).id).values()];
    const peers = items.flatMap((item) => (item.type === 'peer' ? [item.host] : []));
    const workers = items.flatMap((item) =>
      item.type === 'service' && item.service.kind === 'worker' ? [item.service.name] : [],
    );
    table[host] = [...peers.sort(), ...workers].join(' ');
  }
  return table;
}

describe('who learns of whom', () => {
  test('by default everyone who serves is everyone else’s peer, and those who only call are not each other’s', async () => {
    expect(await learned({})).toEqual({
      front: 'data edge idle jobs mailer',
      data: 'edge front idle jobs mailer',
      jobs: 'data front mailer',
      edge: 'data front',
      idle: 'data front',
    });
  });

  test('default deny: nobody but the gateway and the public web', async () => {
    expect(await learned({ defaultAction: 'deny' })).toEqual({
      front: 'edge',
      data: '',
      jobs: 'mailer',
      edge: 'front',
      idle: '',
    });
  });

  test('default deny with one allow: exactly the two hosts it joins', async () => {
    const policies = [rule('cache', 'allow', ['web'], ['redis'])];
    expect(await learned({ defaultAction: 'deny', policies })).toEqual({
      front: 'data edge',
      data: 'front',
      jobs: 'mailer',
      edge: 'front',
      idle: '',
    });
  });

  test('an allow on one port is enough, and lets the called host know a worker', async () => {
    const policies = [rule('jobs', 'allow', ['mailer'], ['rabbit'], tcp(5672))];
    expect(await learned({ defaultAction: 'deny', policies })).toEqual({
      front: 'edge',
      data: 'jobs mailer',
      jobs: 'data mailer',
      edge: 'front',
      idle: '',
    });
  });

  test('an allow on a port that is not declared joins nobody', async () => {
    const policies = [rule('wrong', 'allow', ['mailer'], ['rabbit'], tcp(80))];
    expect(await learned({ defaultAction: 'deny', policies })).toMatchObject({ data: '', jobs: 'mailer' });
  });

  test('a host is a source of its own, by name and by tag', async () => {
    const policies = [rule('idle', 'allow', ['host:idle'], ['redis']), rule('ci', 'allow', ['tag:ci'], ['web'])];
    const agents = [{ name: 'jobs', tags: ['ci'], services: [] }];
    expect(await learned({ defaultAction: 'deny', policies, agents })).toEqual({
      front: 'edge jobs',
      data: 'idle',
      jobs: 'front mailer',
      edge: 'front',
      idle: 'data',
    });
  });

  test('an explicit deny from * closes public ingress, and with it the tie to the gateway', async () => {
    const policies = [rule('closed', 'deny', ['*'], ['web'])];
    expect(await learned({ defaultAction: 'deny', policies })).toMatchObject({ front: '', edge: '' });
  });

  test('a deny on every port of a service unties the hosts, one that leaves a port does not', async () => {
    const all = [rule('no-rabbit', 'deny', ['*'], ['rabbit']), rule('no-redis', 'deny', ['*'], ['redis'])];
    expect(await learned({ policies: all })).toMatchObject({ jobs: 'front mailer', data: 'front' });
    const some = [rule('no-rabbit', 'deny', ['*'], ['rabbit'], tcp(15672)), rule('no-redis', 'deny', ['*'], ['redis'])];
    expect(await learned({ policies: some })).toMatchObject({ jobs: 'data front mailer' });
  });
});

describe('a worker beside a service on one host', () => {
  const declared = [
    service('web', 'web', tcp(3000)),
    service('redis', 'private', tcp(6379)),
    service('mailer', 'worker', [], { tags: ['batch'] }),
  ];
  const learn = async (from: string): Promise<string[]> => {
    const policies = [rule('no', 'deny', [from], ['redis'])];
    const network = await networkOf(mesh({ services: declared, policies }), [
      { host: 'mixed', services: ['web', 'mailer'] },
      { host: 'data', services: ['redis'] },
    ]);
    return [...view(network, allWell(network), agentOn(network, 'data').id).keys()].filter((key) =>
      /mail|peer/.test(key),
    );
  };

  test('is told of where its tags decide whether a process of that host may call', async () => {
    expect(await learn('tag:batch')).toEqual(['service/mailer', 'instance/mailer/0', expect.stringMatching(/^peer/)]);
  });

  test('is not told of where its name or kind does', async () => {
    for (const from of ['mailer', 'kind:worker']) expect(await learn(from)).toEqual([expect.stringMatching(/^peer/)]);
  });
});

function keys(items: ReadonlyMap<string, NetmapItem>, type: NetmapItem['type']): string[] {
  return [...items.values()]
    .filter((item) => item.type === type)
    .map((item) => (item.type === 'peer' ? item.host : itemName(item)));
}

function itemName(item: NetmapItem): string {
  if (item.type === 'service') return item.service.name;
  return item.type === 'instance' ? `${item.service}/${item.ordinal}` : item.type;
}

test('everyone knows web and private services with their instances, and itself', async () => {
  const network = await networkOf(mesh({ services, defaultAction: 'deny' }), hosts);
  const idle = agentOn(network, 'idle');
  const items = view(network, allWell(network), idle.id);
  expect(keys(items, 'service')).toEqual(['web', 'redis', 'rabbit']);
  expect(new Set(keys(items, 'instance'))).toEqual(new Set(['rabbit/0', 'redis/0', 'web/0']));
  expect(items.get('self')).toMatchObject({
    agentId: idle.id,
    network: 'prod',
    host: 'idle',
    services: [],
    roles: [],
  });
});

test('a peer comes with its endpoints, the services it may speak as, and the key of exactly this pair', async () => {
  const network = await networkOf(mesh({ services }), hosts);
  const presences = allWell(network);
  const [front, data, jobs] = ['front', 'data', 'jobs'].map((host) => agentOn(network, host).id) as [
    string,
    string,
    string,
  ];
  const peer = (viewer: string, other: string) => view(network, presences, viewer).get(`peer/${other}`);
  expect(peer(front, data)).toMatchObject({
    host: 'data',
    endpoints: ['data.example:7410'],
    services: ['rabbit', 'redis'],
    roles: [],
  });
  const psk = (viewer: string, other: string) => (peer(viewer, other) as { psk: Uint8Array }).psk;
  expect(psk(front, data)).toEqual(psk(data, front));
  expect(psk(front, data)).toHaveLength(32);
  expect(psk(front, data)).not.toEqual(psk(front, jobs));
});

test('rules only where they may decide', async () => {
  const policies = [
    rule('cache', 'deny', ['web'], ['redis']),
    rule('mail', 'allow', ['mailer'], ['rabbit']),
    rule('all', 'allow', ['*'], ['web']),
    rule('edge-host', 'deny', ['host:edge'], ['redis']),
  ];
  const network = await networkOf(mesh({ services, policies }), hosts);
  const rulesOf = (host: string) => {
    const item = view(network, allWell(network), agentOn(network, host).id).get('policy');
    return item?.type === 'policy' ? item.rules.map(({ name }) => name).join(' ') : undefined;
  };
  expect(['front', 'data', 'jobs', 'edge', 'idle'].map((host) => [host, rulesOf(host)])).toEqual([
    ['front', 'cache all'],
    ['data', 'cache mail all edge-host'],
    ['jobs', 'mail all'],
    ['edge', 'all edge-host'],
    ['idle', 'all'],
  ]);
});

test('an instance that its agent does not run now is not shown; one of an agent never heard of is unwell', async () => {
  const network = await networkOf(mesh({ services }), hosts);
  const presences = new Map(allWell(network));
  const data = agentOn(network, 'data').id;
  presences.set(data, { endpoints: [], instances: new Map([['redis', { healthy: false, notListening: tcp(6379) }]]) });
  presences.delete(agentOn(network, 'front').id);
  const items = view(network, presences, agentOn(network, 'jobs').id);
  expect(items.get('instance/redis/0')).toMatchObject({ healthy: false, notListening: tcp(6379) });
  expect(items.has('instance/rabbit/0')).toBe(false);
  expect(items.get('instance/web/0')).toMatchObject({ healthy: false });
});

test('who is no member knows nothing', async () => {
  const network = await networkOf(mesh({ services }), hosts);
  expect(view(network, allWell(network), 'ag_nobody').size).toBe(0);
});

test('ports that programs opened are shown of a service with the word alone, whatever its agent has said before', async () => {
  const opened = tcp(22, 3000, 5001);
  const shown = async (autoPorts?: true) => {
    const web = service('web', 'private', tcp(3000), autoPorts && { autoPorts });
    const network = await networkOf(mesh({ services: [web] }), [{ host: 'front', services: ['web'] }]);
    const { id } = agentOn(network, 'front');
    const instances = new Map([['web', { healthy: true, notListening: [], opened }]]);
    const item = view(network, new Map([[id, { endpoints: [], instances }]]), id).get('instance/web/0');
    return item?.type === 'instance' ? item.opened : 'not shown';
  };
  expect(await shown(true)).toEqual(tcp(5001));
  expect(await shown()).toBeUndefined();
});
