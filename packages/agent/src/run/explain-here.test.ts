import { once } from 'node:events';
import { createServer } from 'node:net';
import { compilePolicy, type Rule, type Service } from '@weft/proto';
import { afterEach, expect, test } from 'vitest';
import { parseAgentFile } from '../config/agent-file.ts';
import { sampleNetmap } from '../netmap/sample.fixture.ts';
import type { Netmap, NetmapPeer, NetmapService } from '../words/netmap.ts';
import type { ProcessOwner } from '../words/owner.ts';
import { type ExplainParts, explainHere } from './explain-here.ts';

const closes: (() => void)[] = [];
afterEach(() => {
  for (const close of closes.splice(0)) close();
});

async function listening(): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closes.push(() => server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function service(name: string, port: number, agentId: string, told: Partial<NetmapService['instances'][number]> = {}) {
  const declared: Service = { name, kind: 'private', ports: [{ protocol: 'tcp', first: port, last: port }], tags: [] };
  const instance = { service: name, ordinal: 0, agentId, address: undefined, healthy: true, notListening: [], ...told };
  const known: NetmapService = { service: declared, address: '127.80.0.9', instances: [instance] };
  return [name, known] as const;
}

const WAYS: ExplainParts['tunnels'] = {
  lookAt: (agentId) =>
    agentId === 'id-data'
      ? Promise.resolve({ roundTripUs: 1_500, address: '10.0.0.3:7410', dialled: true, accepted: 0, pathSize: 0 })
      : Promise.reject(new Error('no tunnel to far: tried 10.0.0.9:7410')),
};

/** web runs here; redis on data, cache on far. */
function parts(
  overrides: Partial<ExplainParts> & { readonly rules?: readonly Rule[]; readonly more?: Netmap['services'] } = {},
): ExplainParts {
  const { rules = [], more = new Map(), ...rest } = overrides;
  const sample = sampleNetmap();
  const peer = (host: string): [string, NetmapPeer] => {
    const none = { tags: [], roles: [], services: [], address: undefined, endpoints: [] };
    return [
      `id-${host}`,
      { ...none, agentId: `id-${host}`, host, tunnelKey: new Uint8Array(32), psk: new Uint8Array(32) },
    ];
  };
  const netmap = sampleNetmap({
    ...(sample.self && { self: { ...sample.self, services: ['web', 'api'] } }),
    services: new Map([
      service('web', 3_000, 'id-here'),
      service('redis', 6_379, 'id-data'),
      service('cache', 11_211, 'id-far'),
      ...more,
    ]),
    peers: new Map([peer('data'), peer('far')]),
    policy: compilePolicy({ revision: 7, defaultAction: 'allow', rules }),
    hostSource: ({ host, tags }) => ({ type: 'host', name: host, tags, services: [] }),
  });
  return {
    netmap,
    services: parseAgentFile('weft.yaml', 'services: { web: {} }').services,
    targets: { answers: () => false, other: () => undefined, inSandbox: () => false },
    problems: { current: [] },
    tunnels: WAYS,
    sight: 'own',
    users: { numberOf: (user) => (user === 'www' ? 33 : undefined), nameOf: () => 'www', self: 900 },
    look: () => Promise.resolve(undefined),
    sandboxes: [],
    ...rest,
  };
}

const asked = (from: string, to: string, port: number) => ({ from, service: to, port, protocol: 'tcp' as const });

test('a call from here is judged, and its way tried', async () => {
  const { steps, ...told } = await explainHere(parts(), asked('web', 'redis', 6_379));
  expect(told).toMatchObject({ verdict: 'allow', rule: 'default', revision: 7, breakPoint: 'none' });
  expect(steps.at(-1)).toBe('redis/0 on data: reachable from here, round trip 1.5 ms');
});

test('a host that runs one service speaks as it, which is said', async () => {
  const rules: readonly Rule[] = [{ name: 'closed', action: 'deny', from: ['web'], to: ['redis'], ports: [] }];
  const { steps, ...told } = await explainHere(parts({ rules }), asked('host:here', 'redis', 6_379));
  expect(told).toMatchObject({ verdict: 'deny', rule: 'closed', breakPoint: 'denied' });
  expect(steps[0]).toBe('programs of here speak as web, the one service that runs there');
});

const apart: readonly Rule[] = [{ name: 'apart', action: 'deny', from: ['host:here'], to: ['redis'], ports: [] }];

test('on a host of several services, one that nobody tells apart is judged as the host', async () => {
  const services = parseAgentFile('w', 'services: { web: { match: { user: www, unit: web } }, api: {} }').services;
  const more = new Map([service('api', 8_080, 'id-here')]);
  const { steps, ...told } = await explainHere(parts({ services, more, rules: apart }), asked('web', 'redis', 6_379));
  expect(told).toMatchObject({ verdict: 'deny', rule: 'apart', breakPoint: 'denied' });
  expect(steps[0]).toBe('here runs web, api, where no process can be told to be of web, so it speaks as host:here');
});

test('of a service whose processes are told where they are of its own user, nothing is promised that depends on it', async () => {
  const services = parseAgentFile('weft.yaml', 'services: { web: {}, api: {} }').services;
  const more = new Map([service('api', 8_080, 'id-here')]);
  await expect(
    explainHere(parts({ services, more, rules: apart }), asked('web', 'redis', 6_379)),
  ).rejects.toMatchObject({
    code: 'not-promised',
    message: expect.stringMatching(
      /^it cannot be promised: .* speak as web, permitted by default; others as host:here, denied by apart\. /,
    ),
  });
  const { steps, ...told } = await explainHere(parts({ services, more }), asked('web', 'redis', 6_379));
  expect(told).toMatchObject({ verdict: 'allow', breakPoint: 'none' });
  expect(steps[0]).toBe("programs of web that are of this agent's own user speak as it, others as host:here");
});

test('users for whom it is otherwise are named', async () => {
  const rules: readonly Rule[] = [{ name: 'no-bob', action: 'deny', from: ['user:bob'], to: ['redis'], ports: [] }];
  const { steps, ...told } = await explainHere(parts({ rules }), asked('web', 'redis', 6_379));
  expect(told).toMatchObject({ verdict: 'allow', breakPoint: 'none' });
  expect(steps).toContain('but not for user bob (rule no-bob), one that is not known (rule no-bob)');
});

test.each([
  ['its own place', '', 'all', 'here takes who listens at its target, and what that starts as the same user, for web'],
  ['its user', '{ match: { user: www } }', 'own', 'here takes processes of user www for web'],
] as const)(
  'on a host of several services, one that is told by %s is judged as itself',
  async (_, web, sight, said) => {
    const services = parseAgentFile('weft.yaml', `services: { web: ${web || '{}'}, api: {} }`).services;
    const more = new Map([service('api', 8_080, 'id-here')]);
    const rules: readonly Rule[] = [{ name: 'apart', action: 'deny', from: ['host:here'], to: ['redis'], ports: [] }];
    const { steps, ...told } = await explainHere(parts({ services, more, rules, sight }), asked('web', 'redis', 6_379));
    expect(told).toMatchObject({ verdict: 'allow', breakPoint: 'none' });
    expect(steps[0]).toBe(said);
  },
);

test.each([
  [
    'a host that cannot be reached',
    'cache',
    11_211,
    new Map(),
    'unreachable',
    /not reachable from here: no tunnel to far/,
  ],
  [
    'nobody who runs it',
    'empty',
    1,
    new Map([['empty', { ...service('empty', 1, '')[1], instances: [] }]]),
    'no-healthy-instance',
    /no agent runs empty/,
  ],
  [
    'no program there',
    'db',
    5_432,
    new Map([service('db', 5_432, 'id-data', { notListening: [{ protocol: 'tcp', first: 5_432, last: 5_432 }] })]),
    'not-listening',
    /no program listens on 5432/,
  ],
  [
    'one that is not well',
    'db',
    5_432,
    new Map([service('db', 5_432, 'id-data', { healthy: false })]),
    'no-healthy-instance',
    /not healthy, or its agent/,
  ],
  [
    'a host that is not told of',
    'db',
    5_432,
    new Map([service('db', 5_432, 'id-other')]),
    'unreachable',
    /told nothing of/,
  ],
] as const)('it breaks at %s', async (_, to, port, more, breakPoint, step) => {
  const told = await explainHere(parts({ more }), asked('web', to, port));
  expect(told).toMatchObject({ verdict: 'allow', breakPoint });
  expect(told.steps.at(-1)).toMatch(step);
});

test('it breaks where this agent could not listen', async () => {
  const current = [{ code: 'port-taken', subject: 'redis:6379/tcp', message: 'taken; free it' }];
  const told = await explainHere(parts({ problems: { current } }), asked('web', 'redis', 6_379));
  expect(told).toMatchObject({ breakPoint: 'no-listener' });
  expect(told.steps).toContain('here: taken; free it');
});

test('a call to here is judged, and its program tried at the address of the agent file', async () => {
  const open = await listening();
  const at = (port: number) =>
    parts({ services: parseAgentFile('w', `services: { web: { targets: { 3000: "127.0.0.1:${port}" } } }`).services });
  const there = await explainHere(at(open), asked('host:data', 'web', 3_000));
  expect(there).toMatchObject({ verdict: 'allow', breakPoint: 'not-tried' });
  expect(there.steps.slice(-2)).toEqual([
    `web/0 is here, and answers at 127.0.0.1:${open}`,
    'whether host:data gets here was not tried: its own host can tell',
  ]);
  const wrong = await explainHere(at(1), asked('redis', 'web', 3_000));
  expect(wrong.breakPoint).toBe('not-listening');
  expect(wrong.steps).toContain('web/0 is here: 127.0.0.1:1: connection refused');
});

test('what is no flow of this host is not judged, and what is not there is told', async () => {
  await expect(explainHere(parts(), asked('redis', 'cache', 11_211))).rejects.toMatchObject({ code: 'not-own' });
  expect(await explainHere(parts(), asked('web', 'nothing', 1))).toMatchObject({
    rule: 'builtin:no-such-service',
    breakPoint: 'no-such-name',
  });
  expect(await explainHere(parts(), asked('nobody', 'web', 3_000))).toMatchObject({
    rule: 'builtin:source',
    breakPoint: 'no-such-source',
  });
});

const LOOKED: ProcessOwner = {
  ...{ pid: 12, service: undefined, fits: [], user: 'www', unit: 'web.service', program: '/usr/bin/web' },
  ...{ by: undefined, hidden: false, elsewhere: false },
};
const TWO = parseAgentFile('w', 'services: { web: { match: { user: www } }, api: {} }').services;
const twoHere = (found: Partial<ProcessOwner> | undefined, more: Partial<Parameters<typeof parts>[0]> = {}) =>
  parts({
    ...{ services: TWO, more: new Map([service('api', 8_080, 'id-here')]), sight: 'all' },
    look: () => Promise.resolve(found && { ...LOOKED, ...found }),
    ...more,
  });
const deny = (name: string, from: string): Rule => ({ name, action: 'deny', from: [from], to: ['redis'], ports: [] });

test.each<[string, Partial<ProcessOwner>, string, string, RegExp]>([
  ['by match', { service: 'web', by: 'match' }, 'web', 'no-web', /^it is of web by match: user www$/],
  [
    'by its place',
    { service: 'api', by: { listener: 12 } },
    'api',
    'default',
    /^it is of api, at whose target it listens$/,
  ],
  [
    'by a parent',
    { service: 'api', by: { listener: 3 } },
    'api',
    'default',
    /descends from process 3, which listens at its target$/,
  ],
  ['of none', {}, '', 'no-here', /nor listens at a target of one, so it speaks as host:here$/],
  ['of two', { fits: ['web', 'api'] }, '', 'no-here', /^it fits web, api alike, so it speaks as host:here$/],
  ['of nobody knows', { hidden: true }, '', 'no-here', /^this agent may not look into process 12/],
  ['of one that is gone', { service: 'old', by: 'match' }, '', 'no-here', /^it is of old, which does not run here now/],
])('a process is judged as what it is taken for: %s', async (_, found, of, rule, said) => {
  const rules = [deny('no-web', 'web'), deny('no-here', 'host:here')];
  const { steps, ...told } = await explainHere(twoHere(found, { rules }), asked('pid:12', 'redis', 6_379));
  const process = { pid: 12, user: 'www', unit: 'web.service', program: '/usr/bin/web', service: of };
  expect(told).toMatchObject({ rule, verdict: rule === 'default' ? 'allow' : 'deny', process });
  expect(steps[0]).toBe('process 12: user www, unit web.service, program /usr/bin/web');
  expect(steps[1]).toMatch(said);
});

test('a process is judged as its user too, and none that is not there is', async () => {
  const rules = [deny('no-www', 'user:www')];
  const told = await explainHere(twoHere({}, { rules }), asked('pid:12', 'redis', 6_379));
  expect(told).toMatchObject({ verdict: 'deny', rule: 'no-www' });
  const other = await explainHere(twoHere({ user: 'ann' }, { rules }), asked('pid:12', 'redis', 6_379));
  expect(other).toMatchObject({ verdict: 'allow' });
  const nameless = await explainHere(twoHere({ user: '4711' }, { rules }), asked('pid:12', 'redis', 6_379));
  expect(nameless).toMatchObject({ verdict: 'deny', rule: 'no-www' });
  const gone = explainHere(twoHere(undefined), asked('pid:12', 'redis', 6_379));
  await expect(gone).rejects.toMatchObject({ code: 'no-such-process' });
  const slow = explainHere(
    parts({ look: () => Promise.resolve('not-looked-at' as const) }),
    asked('pid:12', 'redis', 6_379),
  );
  await expect(slow).rejects.toMatchObject({ code: 'not-looked-at' });
});

test('a process of a sandbox is judged as its service, and none of another network namespace is', async () => {
  const rules = [deny('no-api', 'api')];
  const as = (sandboxes: ExplainParts['sandboxes'], services = TWO) =>
    explainHere(
      twoHere({ elsewhere: true }, { rules, sandboxes, services }),
      asked(`pid:${process.pid}`, 'redis', 6_379),
    );
  // What began it stands in as a supervisor; a host of one service speaks as that for all else.
  const shutIn = { service: 'api', user: 'ann', pid: process.ppid };
  for (const services of [TWO, parseAgentFile('w', 'services: { web: {} }').services]) {
    const { steps, ...told } = await as([shutIn], services);
    expect(told).toMatchObject({ verdict: 'deny', rule: 'no-api', process: { service: 'api', user: 'ann' } });
    expect(steps[1]).toBe('it is in a sandbox of weft run, so it speaks as api');
  }
  const byUser = { rules: [deny('no-ann', 'user:ann')], sandboxes: [shutIn] };
  const told = await explainHere(twoHere({}, byUser), asked(`pid:${process.pid}`, 'redis', 6_379));
  expect(told).toMatchObject({ verdict: 'deny', rule: 'no-ann' });
  for (const others of [[], [{ ...shutIn, pid: process.pid }]])
    await expect(as(others)).rejects.toMatchObject({
      code: 'not-own',
      message: expect.stringContaining('is in another network namespace'),
    });
});

test('a user is judged as the service whose match asks for it alone, or as all that it may be', async () => {
  const users = {
    numberOf: (user: string) => ({ www: 33, ann: 7, toor: 7 })[user],
    nameOf: (uid: number) => ({ 33: 'www', 7: 'ann' })[uid] ?? `${uid}`,
    self: 900,
  };
  const as = (from: string, rules: readonly Rule[]) =>
    explainHere(twoHere(undefined, { rules, users }), asked(from, 'redis', 6_379));
  expect(await as('user:www', [deny('no-web', 'web')])).toMatchObject({ verdict: 'deny', rule: 'no-web' });
  expect(await as('user:www', [deny('no-www', 'user:www')])).toMatchObject({ verdict: 'deny', rule: 'no-www' });
  expect(await as('user:ann', [deny('no-www', 'user:www')])).toMatchObject({ verdict: 'allow' });
  await expect(as('user:ann', [deny('no-here', 'host:here')])).rejects.toMatchObject({
    code: 'not-promised',
    message: expect.stringMatching(
      /processes of user:ann may speak as host:here, denied by no-here, or as api, permitted/,
    ),
  });
  // A second name of a number is none that a rule selects by, and one that /etc/passwd has not is nobody's.
  expect(await as('user:toor', [deny('no-toor', 'user:toor')])).toMatchObject({
    verdict: 'allow',
    steps: expect.arrayContaining([
      'user toor is number 7, whose name here is ann: no rule selects its processes as user:toor',
    ]),
  });
  expect(await as('user:toor', [deny('no-ann', 'user:ann')])).toMatchObject({ verdict: 'deny', rule: 'no-ann' });
  await expect(as('user:bob', [])).rejects.toMatchObject({ code: 'no-such-user' });
});

test('a user whose sandboxes run may call as their services', async () => {
  const users = { numberOf: (user: string) => ({ ann: 7 })[user], nameOf: () => 'ann', self: 900 };
  const more = { users, sandboxes: [{ service: 'api', user: 'ann', pid: 1 }] };
  const services = parseAgentFile('w', 'services: { web: {} }').services;
  await expect(
    explainHere(
      twoHere(undefined, { ...more, services, rules: [deny('no-api', 'api')] }),
      asked('user:ann', 'redis', 6_379),
    ),
  ).rejects.toMatchObject({
    code: 'not-promised',
    message: expect.stringMatching(/may speak as web, permitted by default, or as api, denied by no-api/),
  });
  const { steps } = await explainHere(twoHere(undefined, { ...more, services }), asked('user:ann', 'redis', 6_379));
  expect(steps).toContain('those that weft run has begun for ann speak as api');
});
