import { describe, expect, test } from 'vitest';
import { mesh, networkOf, service, tcp } from '../netmap/network.fixture.ts';
import { explain, network, type World } from './explain.fixture.ts';
import { createExplain, type ExplainQuestion } from './explain.ts';

describe('the verdict and the break point', () => {
  test.each<[string, Partial<ExplainQuestion>, string, string, string]>([
    ['a service to a private service', {}, 'allow', 'default', 'none'],
    ['over udp', { service: 'statsd', port: 8125, protocol: 'udp' }, 'allow', 'default', 'none'],
    ['a worker as the caller', { from: 'mailer' }, 'allow', 'default', 'none'],
    ['a host as the caller', { from: 'host:jobs' }, 'allow', 'default', 'none'],
    ['a host that a rule denies', { from: 'host:idle' }, 'deny', 'no-cache', 'denied'],
    ['a port that is not declared', { port: 1 }, 'deny', 'builtin:undeclared-port', 'denied'],
    ['the other transport', { protocol: 'udp' }, 'deny', 'builtin:undeclared-port', 'denied'],
    [
      'the internet to the public port',
      { from: 'internet', service: 'web', port: 3000 },
      'allow',
      'builtin:ingress',
      'none',
    ],
    [
      'the internet to another port',
      { from: 'internet', service: 'web', port: 3001 },
      'deny',
      'builtin:ingress',
      'denied',
    ],
    ['the internet to a private service', { from: 'internet' }, 'deny', 'builtin:ingress', 'denied'],
    ['a worker as the one called', { service: 'mailer', port: 25 }, 'deny', 'builtin:worker', 'no-such-name'],
    ['no such service', { service: 'nope' }, 'deny', 'builtin:no-such-service', 'no-such-name'],
    ['no such caller', { from: 'nope' }, 'deny', 'builtin:source', 'no-such-source'],
    ['a host that has not joined', { from: 'host:nope' }, 'deny', 'builtin:source', 'no-such-source'],
    ['a service that nobody runs', { service: 'empty', port: 1 }, 'allow', 'default', 'no-healthy-instance'],
  ])('%s', async (_case, question, verdict, rule, breakPoint) => {
    const { answer } = await explain(question);
    expect(answer).toMatchObject({ verdict, rule, breakPoint, revision: network.revision });
    expect(answer.reason).not.toBe('');
    expect(answer.steps.length).toBeGreaterThan(0);
  });
});

describe('the way', () => {
  test('is tried from the caller’s agent to each healthy instance that listens', async () => {
    const { answer, traced } = await explain({}, { unreachable: ['data-a'] });
    expect(traced).toEqual(['front>data-a', 'front>data-b']);
    expect(answer.breakPoint).toBe('none');
    expect(answer.steps.at(-2)).toBe('redis/0 on data-a from front: not reachable: connection refused');
    expect(answer.steps.at(-1)).toBe('redis/1 on data-b from front: reachable, round trip 1.5 ms');
  });

  test.each<[string, World, string]>([
    ['every instance unwell', { unwell: ['redis@data-a', 'redis@data-b'] }, 'no-healthy-instance'],
    ['nothing listens', { notListening: { 'redis@data-a': tcp(6379), 'redis@data-b': tcp(6379) } }, 'not-listening'],
    [
      'one unwell, the other not listening',
      { unwell: ['redis@data-a'], notListening: { 'redis@data-b': tcp(6379) } },
      'not-listening',
    ],
    ['another port does not listen', { notListening: { 'redis@data-a': tcp(1), 'redis@data-b': tcp(1) } }, 'none'],
    ['no instance can be reached', { unreachable: ['data-a', 'data-b'] }, 'unreachable'],
    [
      'one is unwell and the other cannot be reached',
      { unwell: ['redis@data-a'], unreachable: ['data-b'] },
      'unreachable',
    ],
    ['the caller’s agent is silent', { silent: ['front'] }, 'not-tried'],
    ['the caller’s agent is away', { away: ['front'] }, 'not-tried'],
  ])('%s', async (_case, world, breakPoint) => {
    const { answer } = await explain({}, world);
    expect(answer).toMatchObject({ verdict: 'allow', breakPoint });
  });

  test.each<[string, World, string, string[]]>([
    [
      'none of them listens',
      { notListening: { 'redis@data-a': tcp(6379), 'redis@data-b': tcp(6379) } },
      'not-listening',
      ['nothing listens on 6379 at redis/0 on data-a', 'nothing listens on 6379 at redis/1 on data-b'],
    ],
    [
      'one of them fails for another reason',
      { notListening: { 'redis@data-a': tcp(6379) } },
      'no-healthy-instance',
      ['nothing listens on 6379 at redis/0 on data-a', 'redis/1 on data-b is not healthy'],
    ],
    [
      'one of them is away, whatever was last heard of it',
      { away: ['data-b'], notListening: { 'redis@data-a': tcp(6379), 'redis@data-b': tcp(6379) } },
      'no-healthy-instance',
      ['nothing listens on 6379 at redis/0 on data-a', 'redis/1 is on data-b, whose agent is not connected'],
    ],
    [
      'one of them is away, and nothing was heard of it before',
      { away: ['data-b'], unheard: ['redis@data-b'], notListening: { 'redis@data-a': tcp(6379) } },
      'no-healthy-instance',
      ['nothing listens on 6379 at redis/0 on data-a', 'redis/1 is on data-b, whose agent is not connected'],
    ],
  ])('says why every instance is unwell: %s', async (_case, world, breakPoint, steps) => {
    const { answer } = await explain({}, { unwell: ['redis@data-a', 'redis@data-b'], ...world });
    expect(answer.breakPoint).toBe(breakPoint);
    expect(answer.steps.slice(-2)).toEqual(steps);
  });

  test('tells the address that was tried in vain, where the agent told it', async () => {
    const silent = tcp(6379);
    const { answer } = await explain(
      {},
      {
        unwell: ['redis@data-a', 'redis@data-b'],
        notListening: { 'redis@data-a': silent, 'redis@data-b': silent },
        problems: {
          'data-a': 'target-not-listening redis:6378-6380/tcp',
          'data-b': 'target-not-listening redis:6379/udp',
        },
      },
    );
    expect(answer.breakPoint).toBe('not-listening');
    expect(answer.steps.slice(-2)).toEqual([
      'redis/0 on data-a: because of target-not-listening',
      'nothing listens on 6379 at redis/1 on data-b',
    ]);
  });

  test('tells of another user’s program that is not called there, and of none that is called', async () => {
    const silent = tcp(6379);
    const { answer } = await explain(
      {},
      {
        unwell: ['redis@data-a', 'redis@data-b'],
        notListening: { 'redis@data-a': silent, 'redis@data-b': silent },
        problems: { 'data-a': 'place-taken redis:6379/tcp', 'data-b': 'place-taken redis' },
      },
    );
    expect(answer.steps.slice(-2)).toEqual([
      'redis/0 on data-a: because of place-taken',
      'nothing listens on 6379 at redis/1 on data-b',
    ]);
  });

  test('leaves out those that do not listen, and tells of each', async () => {
    const { answer, traced } = await explain({}, { notListening: { 'redis@data-a': tcp(6379) } });
    expect(answer.breakPoint).toBe('none');
    expect(answer.steps.slice(-2)).toEqual([
      'nothing listens on 6379 at redis/0 on data-a',
      'redis/1 on data-b from front: reachable, round trip 1.5 ms',
    ]);
    expect(answer.steps.filter((step) => step.includes('data-b'))).toHaveLength(1);
    expect(traced).toEqual(['front>data-b']);
  });

  test('is told of, and not tried, while no agent of the caller is connected', async () => {
    const { answer, traced } = await explain({}, { away: ['front'] });
    expect(answer.steps.slice(-3)).toEqual([
      'redis/0 on data-a is healthy and listens',
      'redis/1 on data-b is healthy and listens',
      'whether it can be reached was not tried: no agent of web that may call is connected',
    ]);
    expect(traced).toEqual([]);
  });

  test('is told of where nobody runs the service', async () => {
    const { answer } = await explain({ service: 'empty', port: 1 });
    expect(answer.steps.at(-1)).toBe('no agent runs empty');
  });

  test('begins at each caller, also at one that runs beside an instance', async () => {
    const { answer, traced } = await explain({ from: 'redis' }, { unwell: ['redis@data-a'] });
    expect(answer.steps.at(-1)).toBe('redis/1 is on data-b, where the caller is');
    expect(traced).toEqual(['data-a>data-b', 'data-b>data-b']);
  });

  test('of a host that reaches no instance, where others of the caller do, is told by its name', async () => {
    const services = [service('web', 'private', tcp(1)), service('redis', 'private', tcp(6379))];
    const hosts = [
      ...['front-b', 'front-a', 'front-c'].map((host) => ({ host, services: ['web'] })),
      ...['data-a', 'data-b'].map((host) => ({ host, services: ['redis'] })),
    ];
    const where = await networkOf(mesh({ services }), hosts);
    const ask = async (...unreachable: string[]) => (await explain({}, { unreachable }, where)).answer;
    expect(await ask('front-b>data-a', 'front-b>data-b', 'front-c>data-a')).toMatchObject({
      ...{ breakPoint: 'none', refusedHosts: ['front-b'] },
      steps: expect.arrayContaining(['redis/1 on data-b from front-b: not reachable: connection refused']),
    });
    expect(await ask('data-a', 'data-b')).toMatchObject({ breakPoint: 'unreachable', refusedHosts: [] });
    // So is one that does not answer.
    const { answer } = await explain({}, { silent: ['front-c'], unreachable: ['front-c>data-a'] }, where);
    expect(answer).toMatchObject({ breakPoint: 'none', refusedHosts: [], untriedHosts: ['front-c'] });
    const alone = await explain({}, { silent: ['front-a', 'front-b', 'front-c'] }, where);
    expect(alone.answer).toMatchObject({ breakPoint: 'not-tried', untriedHosts: [] });
  });

  test('is tried to a few of many instances, from a number of many callers', async () => {
    const services = [service('web', 'private', tcp(1)), service('redis', 'private', tcp(6379))];
    const many = Array.from({ length: 10 }, (_, at) => ({ host: `data-${at}`, services: ['redis'] }));
    const callers = Array.from({ length: 34 }, (_, at) => ({ host: `front-${at}`, services: ['web'] }));
    const { answer, traced } = await explain({}, {}, await networkOf(mesh({ services }), [...callers, ...many]));
    expect(traced).toHaveLength(32 * 8);
    expect(traced[0]).toBe('front-0>data-0');
    expect(answer.steps.at(-1)).toBe('2 more hosts of web were not asked');
    expect(answer.untriedHosts).toHaveLength(2);
  });

  test('an instance on the caller’s own host needs none but an agent that answers', async () => {
    const { answer, traced } = await explain({ from: 'host:data-b' }, { unreachable: ['data-a', 'data-b'] });
    expect(traced).toEqual(['data-b>data-a', 'data-b>data-b']);
    expect(answer.breakPoint).toBe('none');
    expect(answer.steps.at(-1)).toBe('redis/1 is on data-b, where the caller is');
    const silent = await explain({ from: 'host:data-b' }, { silent: ['data-b'] });
    expect(silent.answer.breakPoint).toBe('not-tried');
    expect(silent.answer.steps.at(-1)).toMatch(
      /^redis\/1 is on data-b, where the caller is: data-b did not answer within /,
    );
  });

  test('nothing is tried for a flow that is denied', async () => {
    expect((await explain({ from: 'host:idle' })).traced).toEqual([]);
  });

  test('the internet comes by a gateway', async () => {
    const { traced } = await explain({ from: 'internet', service: 'web', port: 3000 });
    expect(traced).toEqual(['edge>front']);
  });

  test('the internet has none while no gateway is connected', async () => {
    const question = { from: 'internet', service: 'web', port: 3000 };
    const { answer, traced } = await explain(question, { away: ['edge'] });
    expect(answer).toMatchObject({ verdict: 'allow', breakPoint: 'unreachable' });
    expect(answer.steps.at(-1)).toBe('no gateway of this network is connected');
    expect(traced).toEqual([]);
  });
});

describe('the caller’s own agent', () => {
  test.each<[string, Partial<ExplainQuestion>, string, string]>([
    ['does not listen for it', {}, 'front port-awaited redis:6379/tcp', 'no-listener'],
    ['waits at another service', {}, 'front port-awaited web:6379/tcp', 'none'],
    ['waits at an instance only', {}, 'front port-taken 0.redis:6379/tcp', 'none'],
    ['has another problem', {}, 'front caller-address redis:6379/tcp', 'none'],
    ['leaves calls to a program on every address', {}, 'front port-shared redis:6379/tcp', 'none'],
    ['is a gateway', { from: 'internet', service: 'web', port: 3000 }, 'edge port-awaited web:3000/tcp', 'none'],
    ['is another host’s', {}, 'idle port-awaited redis:6379/tcp', 'none'],
  ])('%s', async (_case, question, problem, breakPoint) => {
    const [host = '', ...words] = problem.split(' ');
    const { answer, traced } = await explain(question, { problems: { [host]: words.join(' ') } });
    expect(answer).toMatchObject({ verdict: 'allow', breakPoint });
    // Where no caller listens for it, one of them tries the way all the same.
    expect(traced.length).toBeGreaterThan(0);
    const step = `at the caller, ${host}: because of ${words[0]}`;
    const told = breakPoint === 'no-listener' || words[0] === 'port-shared';
    expect(answer.steps.filter((each) => each === step)).toHaveLength(told ? 1 : 0);
  });

  test.each<[string, Partial<ExplainQuestion>, string, string | undefined]>([
    ['the caller, of files', {}, 'front too-many-files agent', 'the caller, front'],
    ['the caller, of UDP clients', {}, 'front too-many-clients udp', undefined],
    [
      'the gateway, of places',
      { from: 'internet', service: 'web', port: 3000 },
      'edge too-many-clients gateway',
      'the caller, edge',
    ],
    ['the gateway, for a program', { from: 'host:edge' }, 'edge too-many-clients gateway', undefined],
    ['the caller, of listeners', {}, 'front too-many-files listeners', 'the caller, front'],
    ['the instance, of listeners', {}, 'data-a too-many-files listeners', undefined],
    ['the instance, of files', {}, 'data-a too-many-files agent', 'redis/0, data-a'],
    ['the instance, of clients of its own', {}, 'data-a too-many-clients udp', undefined],
  ])('tells that one is short: %s', async (_case, question, problem, where) => {
    const [host = '', code = '', subject = ''] = problem.split(' ');
    const { answer } = await explain(question, { problems: { [host]: `${code} ${subject}` } });
    expect(answer).toMatchObject({ verdict: 'allow', breakPoint: 'none' });
    const told = answer.steps.filter((each) => each.includes('because of'));
    expect(told).toEqual(where === undefined ? [] : [`at ${where}: because of ${code}`]);
  });

  test('is another one where the caller runs twice', async () => {
    const problems = { 'data-a': 'port-awaited web:3000/tcp' };
    const { answer, traced } = await explain({ from: 'redis', service: 'web', port: 3000 }, { problems });
    expect(answer.breakPoint).toBe('none');
    expect(answer.steps).toContain('at the caller, data-a: because of port-awaited');
    expect(answer.refusedHosts).toEqual(['data-a']);
    expect(traced).toEqual(['data-b>front']);
  });
});

test('of data that is older than what agents heard it says so first, and promises nothing', async () => {
  const olderData = { revision: network.revision + 1, hosts: ['front', 'data-a'], sinceMs: 1 };
  for (const world of [{}, { away: ['front', 'data-a', 'data-b'] }]) {
    const { answer } = await explain({}, { ...world, olderData });
    expect(answer).toMatchObject({ verdict: 'allow', breakPoint: 'not-tried' });
    expect(answer.steps[0]).toMatch(
      /^control's data is older than what agents heard from it \(.*front.*\): .*ask on the host that calls$/,
    );
  }
  const denied = await explain({ from: 'host:idle' }, { olderData });
  expect(denied.answer).toMatchObject({ verdict: 'deny', breakPoint: 'denied' });
  expect(denied.answer.steps[0]).toContain('older');
});

test('a change of the mesh is a change of the verdict', async () => {
  const ask = createExplain({
    state: { olderData: undefined },
    live: { agent: () => undefined, instance: () => undefined },
    tracer: { trace: async () => undefined },
  });
  const question: ExplainQuestion = { from: 'web', service: 'redis', port: 6379, protocol: 'tcp' };
  const never = new AbortController().signal;
  expect(await ask(network, question, never)).toMatchObject({ verdict: 'allow', breakPoint: 'no-healthy-instance' });
  const closed = {
    ...network,
    revision: network.revision + 1,
    mesh: { ...network.mesh, defaultAction: 'deny' as const },
  };
  expect(await ask(closed, question, never)).toMatchObject({
    verdict: 'deny',
    rule: 'default',
    revision: closed.revision,
  });
});
