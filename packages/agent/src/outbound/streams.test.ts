import { once } from 'node:events';
import net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { program, Rig, type RigOptions, rule, service, until } from './rig.fixture.ts';

const PORT = 16_379;
const SERVICES = [
  service('redis', 'private', PORT),
  service('web', 'web', 13_000),
  service('mailer', 'worker'),
  service('cron', 'worker'),
];

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

async function serving(serve: (socket: net.Socket) => void) {
  const started = await program(serve);
  cleanups.push(() => started.close());
  return started;
}

const echo = (socket: net.Socket) => void socket.pipe(socket);

interface Setup extends RigOptions {
  /** Ports of the programs behind redis/0, redis/1... each on a host of its own. */
  readonly redis: readonly number[];
}

/** a runs web, b runs mailer and web, r0, r1... run redis; g is a gateway. */
async function setup({ redis, ...options }: Setup): Promise<Rig> {
  const hosts = redis.map((port, index) => ({ host: `r${index}`, runs: { redis: { [`${PORT}/tcp`]: port } } }));
  const agents = [
    { host: 'a', runs: { web: { '13000/tcp': 1 } } },
    { host: 'b', runs: { web: { '13000/tcp': 1 }, mailer: {} } },
    ...hosts,
    { host: 'g', roles: ['gateway' as const] },
  ];
  const rig = await Rig.start({ services: SERVICES, agents }, options);
  cleanups.push(() => rig.stop());
  return rig;
}

function call(rig: Rig, from: string, address = rig.vip(from, 'redis')): net.Socket {
  const socket = net.connect({ host: address, port: PORT, allowHalfOpen: true });
  cleanups.push(() => socket.destroy());
  return socket;
}

/** How a connection ended: its error's code, or `end`. */
function ending(socket: net.Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on('end', () => resolve('end'));
    socket.resume();
  });
}

async function exchange(socket: net.Socket, text: string): Promise<string> {
  socket.write(text);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  return answer.toString();
}

async function oneRecord(rig: Rig) {
  await until(() => rig.records().length > 0 && rig.live === 0);
  const records = rig.records();
  expect(records).toHaveLength(1);
  return records[0];
}

describe('a permitted call', () => {
  it('reaches the program from the caller’s own address and is recorded once, where it got to', async () => {
    const redis = await serving(echo);
    const rig = await setup({ redis: [redis.port] });
    const socket = call(rig, 'a');
    expect(await exchange(socket, 'ping')).toBe('ping');
    socket.end();
    await once(socket, 'end');
    expect(redis.callers).toEqual([rig.vip('r0', 'web')]);
    expect(await oneRecord(rig)).toMatchObject({
      source: 'web',
      sourceHost: 'a',
      service: 'redis',
      instance: 'redis/0',
      destinationHost: 'r0',
      port: PORT,
      protocol: 'tcp',
      verdict: 'allow',
      rule: 'default',
      revision: 1,
      outcome: 'closed',
      bytesSent: 4,
      bytesReceived: 4,
    });
    expect(rig.agent('r0').recorder.recent()).toHaveLength(1);
  });

  it('comes from the host where the service cannot be told', async () => {
    const redis = await serving(echo);
    const rig = await setup({ redis: [redis.port] });
    const socket = call(rig, 'b');
    await exchange(socket, 'ping');
    socket.end();
    expect(redis.callers).toEqual([rig.hostAddress('r0', 'b')]);
    expect(await oneRecord(rig)).toMatchObject({ source: 'host:b', outcome: 'closed' });
  });

  it('stays on its host when the instance does, with the verdict and one record', async () => {
    const redis = await serving(echo);
    const rig = await setup({ redis: [redis.port] });
    const socket = call(rig, 'r0');
    expect(await exchange(socket, 'ping')).toBe('ping');
    socket.end();
    expect(redis.callers).toEqual([rig.vip('r0', 'redis')]);
    expect(await oneRecord(rig)).toMatchObject({
      source: 'redis',
      destinationHost: 'r0',
      outcome: 'closed',
      bytesSent: 4,
    });
    rig.change({ rules: [rule('no-self', 'deny', 'redis', 'redis')] });
    expect(await ending(call(rig, 'r0'))).toBe('ECONNRESET');
  });

  it('passes half-close, with the answer still to come', async () => {
    const redis = await serving((socket) => {
      let bytes = 0;
      socket.on('data', (piece) => {
        bytes += piece.length;
      });
      socket.on('end', () => socket.end(String(bytes)));
    });
    const rig = await setup({ redis: [redis.port] });
    const socket = call(rig, 'a');
    socket.end(Buffer.alloc(1_000_000));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toBe('1000000');
    expect(await oneRecord(rig)).toMatchObject({ outcome: 'closed', bytesSent: 1_000_000, bytesReceived: 7 });
  });

  it('passes a reset by the program', async () => {
    const redis = await serving((socket) => socket.once('data', () => socket.resetAndDestroy()));
    const rig = await setup({ redis: [redis.port] });
    const socket = call(rig, 'a');
    socket.write('ping');
    expect(await ending(socket)).toBe('ECONNRESET');
    expect(await oneRecord(rig)).toMatchObject({ outcome: 'reset', verdict: 'allow' });
  });
});

describe('a call that cannot be', () => {
  it('is reset at once when it is denied, and the source records it', async () => {
    const redis = await serving(echo);
    const rig = await setup({ redis: [redis.port] });
    rig.change({ rules: [rule('no-web', 'deny', 'web', 'redis')] });
    expect(await ending(call(rig, 'a'))).toBe('ECONNRESET');
    expect(redis.callers).toEqual([]);
    expect(await oneRecord(rig)).toMatchObject({
      outcome: 'denied',
      verdict: 'deny',
      rule: 'no-web',
      revision: 2,
      destinationHost: '',
    });
  });

  it('is reset and recorded by the destination when only that knows better', async () => {
    const redis = await serving(echo);
    const rig = await setup({ redis: [redis.port, redis.port] });
    rig.change({ rules: [rule('no-web', 'deny', 'web', 'redis')] }, 'r0', 'r1');
    expect(await ending(call(rig, 'a'))).toBe('ECONNRESET');
    expect(await oneRecord(rig)).toMatchObject({ outcome: 'denied', rule: 'no-web', source: 'web', sourceHost: 'a' });
    expect(redis.callers).toEqual([]);
  });

  it('is reset when nothing listens, and when no instance is healthy', async () => {
    const gone = await serving(echo);
    gone.close();
    const rig = await setup({ redis: [gone.port] });
    expect(await ending(call(rig, 'a'))).toBe('ECONNRESET');
    expect(await oneRecord(rig)).toMatchObject({
      outcome: 'not-listening',
      instance: 'redis/0',
      destinationHost: 'r0',
    });
    rig.change({ unhealthy: ['redis/0'] });
    expect(await ending(call(rig, 'a'))).toBe('ECONNRESET');
    expect(rig.records()).toHaveLength(2);
    expect(rig.records()[1]).toMatchObject({ outcome: 'no-instance', destinationHost: '', verdict: 'allow' });
  });

  it('is reset when no tunnel can be made in time', async () => {
    const redis = await serving(echo);
    const rig = await setup({ redis: [redis.port], forwardMs: 50 });
    rig.unreachable.add('r0');
    expect(await ending(call(rig, 'a'))).toBe('ECONNRESET');
    expect(await oneRecord(rig)).toMatchObject({ outcome: 'unreachable', verdict: 'allow' });
  });

  it('is refused as overloaded over the limit of live flows', async () => {
    const redis = await serving(echo);
    const rig = await setup({ redis: [redis.port], flowLimit: 1 });
    const first = call(rig, 'a');
    await exchange(first, 'ping');
    expect(await ending(call(rig, 'a'))).toBe('ECONNRESET');
    expect(rig.records()).toMatchObject([{ outcome: 'overloaded' }]);
    first.end();
    await until(() => rig.live === 0);
    expect(
      rig
        .records()
        .map(({ outcome }) => outcome)
        .sort(),
    ).toEqual(['closed', 'overloaded']);
  });
});

describe('several instances', () => {
  it('take turns, and an instance’s own address is that instance only', async () => {
    const programs = await Promise.all([serving(echo), serving(echo)]);
    const rig = await setup({ redis: programs.map(({ port }) => port) });
    for (let turn = 0; turn < 4; turn++) await exchange(call(rig, 'a'), 'ping');
    expect(programs.map(({ callers }) => callers.length)).toEqual([2, 2]);
    for (let turn = 0; turn < 2; turn++) {
      await exchange(call(rig, 'a', rig.instanceAddress('a', 'redis', 1)), 'ping');
    }
    expect(programs.map(({ callers }) => callers.length)).toEqual([2, 4]);
  });

  it('stand in for one another, and the flow has one record', async () => {
    const gone = await serving(echo);
    const good = await serving(echo);
    gone.close();
    const rig = await setup({ redis: [gone.port, gone.port, good.port], forwardMs: 4_000 });
    rig.unreachable.add('r0');
    const socket = call(rig, 'a');
    expect(await exchange(socket, 'kept from the first byte')).toBe('kept from the first byte');
    socket.end();
    expect(await oneRecord(rig)).toMatchObject({ outcome: 'closed', instance: 'redis/2', destinationHost: 'r2' });
    expect(await ending(call(rig, 'a', rig.instanceAddress('a', 'redis', 1)))).toBe('ECONNRESET');
  });
});

describe('a change', () => {
  it('cuts the live flows that lost their permission, and no others', async () => {
    const redis = await serving(echo);
    const rig = await setup({ redis: [redis.port] });
    const loser = call(rig, 'a');
    const keeper = call(rig, 'b');
    await exchange(loser, 'ping');
    await exchange(keeper, 'ping');
    const ended = ending(loser);
    rig.change({ rules: [rule('no-web', 'deny', 'web', 'redis')] });
    expect(await ended).toBe('ECONNRESET');
    expect(rig.records()).toMatchObject([
      { outcome: 'cut', source: 'web', verdict: 'deny', rule: 'no-web', revision: 2, bytesSent: 4 },
    ]);
    expect(await exchange(keeper, 'still')).toBe('still');
    keeper.end();
    await until(() => rig.live === 0);
    expect(rig.records()).toHaveLength(2);
  });

  it('that reaches the source first is still told by the destination, as a cut', async () => {
    const redis = await serving(echo);
    const rig = await setup({ redis: [redis.port] });
    const loser = call(rig, 'a');
    await exchange(loser, 'ping');
    const ended = ending(loser);
    const rules = { rules: [rule('no-web', 'deny', 'web', 'redis')] };
    rig.change(rules, 'a');
    expect(await ended).toBe('ECONNRESET');
    rig.change(rules, 'r0');
    expect(await oneRecord(rig)).toMatchObject({ outcome: 'cut', rule: 'no-web' });
  });

  it.each([
    ['the caller’s membership ends', { revoked: ['a'] }, { rule: 'builtin:source', source: 'web' }, 'r0'],
    ['the destination’s membership ends', { revoked: ['r0'] }, { rule: 'default', source: 'web' }, 'a'],
    [
      'the service is gone',
      { services: SERVICES.filter(({ name }) => name !== 'redis') },
      { rule: 'builtin:no-such-service' },
      'r0',
    ],
    [
      'the port is gone',
      { services: [service('redis', 'private', 1), ...SERVICES.slice(1)] },
      { rule: 'builtin:undeclared-port' },
      'r0',
    ],
    [
      'the service becomes a worker',
      { services: [service('redis', 'worker'), ...SERVICES.slice(1)] },
      { rule: 'builtin:worker' },
      'r0',
    ],
  ])('cuts when %s', async (_, change, expected, teller) => {
    const redis = await serving(echo);
    const rig = await setup({ redis: [redis.port] });
    const socket = call(rig, 'a');
    await exchange(socket, 'ping');
    const ended = ending(socket);
    rig.change(change);
    expect(await ended).toBe('ECONNRESET');
    await until(() => rig.live === 0);
    expect(rig.agent(teller).recorder.recent()).toMatchObject([{ outcome: 'cut', ...expected }]);
  });
});

it('tells of a port that another program holds, and takes it when it is free', async () => {
  const redis = await serving(echo);
  const rig = await setup({ redis: [redis.port], retryMs: 20 });
  const late = service('late', 'private', PORT);
  const { problems, outbound } = rig.agent('a');
  const squatter = net.createServer().listen(PORT, rig.vip('a', 'late', [...SERVICES, late]));
  await once(squatter, 'listening');
  rig.change({ services: [...SERVICES, late] });
  await outbound.settled();
  expect(problems.current).toMatchObject([{ code: 'port-taken', subject: `late:${PORT}/tcp` }]);
  // The rest works.
  expect(await exchange(call(rig, 'a'), 'ping')).toBe('ping');
  squatter.close();
  await until(() => problems.current.length === 0);
  expect(await ending(call(rig, 'a', rig.vip('a', 'late')))).toBe('ECONNRESET');
});

describe('the gateway’s way in', () => {
  it('reaches a web service’s public port and nothing else', async () => {
    const web = await serving(echo);
    const rig = await Rig.start({
      services: SERVICES,
      agents: [
        { host: 'g', roles: ['gateway' as const] },
        { host: 'a', runs: { web: { '13000/tcp': web.port } } },
        { host: 'plain' },
      ],
    });
    cleanups.push(() => rig.stop());
    const { signal } = new AbortController();
    const opened = await rig.agent('g').outbound.openIngress('web', 13_000, '203.0.113.9', signal);
    if (!opened.opened) throw new Error('not opened');
    const heard = await new Promise<string>((resolve) => {
      opened.conduit.attach({ data: (piece) => resolve(piece.toString()), end() {}, drain() {}, closed() {} });
      opened.conduit.write(Buffer.from('GET /'), true);
    });
    expect(heard).toBe('GET /');
    expect(web.callers).toEqual([rig.hostAddress('a', 'g')]);
    opened.conduit.reset();
    const record = await oneRecord(rig);
    expect(record).toMatchObject({ source: 'internet', sourceHost: 'g', rule: 'builtin:ingress', outcome: 'reset' });
    expect(record?.detail).toContain('203.0.113.9');
    const refused = await rig.agent('g').outbound.openIngress('redis', PORT, '203.0.113.9', signal);
    expect(refused).toMatchObject({ opened: false, outcome: 'denied' });
    const forged = await rig.agent('plain').outbound.openIngress('web', 13_000, '203.0.113.9', signal);
    expect(forged).toMatchObject({ opened: false, outcome: 'denied' });
  });

  it.each(['attached', 'not attached yet'])('is cut like any other flow, %s', async (when) => {
    const web = await serving(echo);
    const agents = [
      { host: 'g', roles: ['gateway' as const] },
      { host: 'a', runs: { web: { '13000/tcp': web.port } } },
    ];
    const rig = await Rig.start({ services: SERVICES, agents });
    cleanups.push(() => rig.stop());
    const { signal } = new AbortController();
    const opened = await rig.agent('g').outbound.openIngress('web', 13_000, '203.0.113.9', signal);
    if (!opened.opened) throw new Error('not opened');
    const { conduit } = opened;
    const attach = () =>
      new Promise<string>((resolve) =>
        conduit.attach({ data() {}, end() {}, drain() {}, closed: (how) => resolve(how) }),
      );
    const early = when === 'attached' ? attach() : undefined;
    rig.change({ rules: [rule('closed', 'deny', '*', 'web')] });
    expect(await (early ?? attach())).toBe('reset');
    expect(await oneRecord(rig)).toMatchObject({ source: 'internet', outcome: 'cut', rule: 'closed', revision: 2 });
  });

  it('ends with its opener', async () => {
    const rig = await Rig.start({
      services: SERVICES,
      agents: [
        { host: 'g', roles: ['gateway' as const] },
        { host: 'a', runs: { web: { '13000/tcp': 1 } } },
      ],
    });
    cleanups.push(() => rig.stop());
    rig.unreachable.add('a');
    const given = new AbortController();
    const opening = rig.agent('g').outbound.openIngress('web', 13_000, '203.0.113.9', given.signal);
    given.abort();
    expect(await opening).toMatchObject({ opened: false, outcome: 'reset' });
    expect(await oneRecord(rig)).toMatchObject({ source: 'internet', outcome: 'reset' });
  });
});
