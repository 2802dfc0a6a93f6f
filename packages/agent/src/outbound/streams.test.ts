import { once } from 'node:events';
import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { trustInside } from '../bytes/inside/known.ts';
import { asUser, BIN, Caller, DAEMON, IS_ROOT } from '../owner/programs.fixture.ts';
import { call, cleanups, echo, ending, exchange, oneRecord, PORT, SERVICES, serving, setup } from './calls.fixture.ts';
import { exceptTargets, Rig, rule, service, until } from './rig.fixture.ts';

describe('a call from another host', () => {
  it('is reset with nothing of it kept', async () => {
    const redis = await serving(echo);
    const callers = { refuses: (address: string) => address === '127.0.0.77', refused: 1 };
    const rig = await setup({ redis: [redis.port], callers });
    const to = { host: rig.vip('a', 'redis'), port: PORT };
    expect(await ending(net.connect({ ...to, localAddress: '127.0.0.77' }))).toBe('ECONNRESET');
    expect(await exchange(call(rig, 'a'), 'ping')).toBe('ping');
    // One, at both ends.
    expect(rig.live).toBe(2);
    expect(rig.records()).toEqual([]);
    expect(redis.callers).toHaveLength(1);
    expect(rig.agent('a').outbound.callersRefused).toBe(1);
  });
});

describe.runIf(IS_ROOT)('who resets a call before it is known who made it', () => {
  it.each(['a handle', "Node's public API"])(
    'does not speak as who has its port next, by %s',
    async (way) => {
      const answer = Promise.withResolvers<void>();
      let waits: Promise<void> | undefined;
      let looks = 0;
      const beforeLook = async () => {
        looks += 1;
        await waits;
      };
      trustInside(way === 'a handle');
      cleanups.push(() => trustInside(true));
      const heard: string[] = [];
      const redis = await serving((socket) => {
        socket.on('data', (piece) => heard.push(piece.toString()));
        echo(socket);
      });
      const [web, attacker] = [new Caller(asUser(DAEMON)), new Caller(asUser(BIN))];
      cleanups.push(() => void Promise.all([web.end(), attacker.end()]));
      const agents = [
        { host: 'a', runs: { web: { '13000/tcp': Number(await web.ask('listen target')) }, mailer: {} } },
        { host: 'r0', runs: { redis: { [`${PORT}/tcp`]: redis.port } } },
      ];
      const rules = [rule('web-alone', 'allow', 'web', 'redis')];
      const rig = await Rig.start({ services: SERVICES, agents, rules, defaultAction: 'deny' }, { beforeLook });
      cleanups.push(() => rig.stop());
      const to = { host: rig.vip('a', 'redis'), port: PORT };
      const hello = async (): Promise<string> => {
        await web.call('connect', 'own', to);
        const said = await web.ask('say own');
        await web.ask('close own');
        return said;
      };
      // Who waits for what tells who calls, as long as that begins, may wait too long.
      await expect.poll(hello, { timeout: 60_000 }).toBe('hello');
      waits = answer.promise;
      const before = looks;
      const { port } = await attacker.call('connect', 'one', to);
      await until(() => looks > before);
      expect(await attacker.ask('reset one from-another')).toBe('reset');
      expect(await web.ask(`connect next ${to.host} ${to.port} ${port}`)).toBe(`${port}`);
      answer.resolve();
      await web.ask('say next');
      await web.ask('close next');
      await expect.poll(hello, { timeout: 60_000 }).toBe('hello');
      await until(() => rig.live === 0);
      expect(new Set(heard)).toEqual(new Set(['hello']));
    },
    120_000,
  );
});

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
    // A probe that only connects finds nothing wrong, as README says.
    const probe = call(rig, 'a');
    await once(probe, 'connect');
    expect(await ending(probe)).toBe('ECONNRESET');
    expect(await oneRecord(rig)).toMatchObject({
      outcome: 'not-listening',
      instance: 'redis/0',
      destinationHost: 'r0',
      detail: `redis/0 on r0: redis ${PORT} → 127.0.0.1:${gone.port}: connection refused`,
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

  it.each(['a', 'r0'])(
    'is refused as overloaded, and recorded, while files are short at %s, and taken again after',
    async (host) => {
      const redis = await serving(echo);
      const rig = await setup({ redis: [redis.port] });
      const { files, problems } = rig.agent(host);
      // As if each file that is opened from now on were one too many.
      Object.defineProperty(files, 'usable', { value: 0, configurable: true });
      expect(await ending(call(rig, 'a'))).toBe('ECONNRESET');
      expect(await oneRecord(rig)).toMatchObject({ source: 'web', outcome: 'overloaded', verdict: 'allow' });
      expect(exceptTargets(problems)).toMatchObject([{ code: 'too-many-files', subject: 'agent' }]);
      Reflect.deleteProperty(files, 'usable');
      expect(await exchange(call(rig, 'a'), 'ping')).toBe('ping');
    },
  );

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

  it('are tried in vain, and the flow has one record all the same', async () => {
    const gone = await serving(echo);
    gone.close();
    const rig = await setup({ redis: [gone.port, gone.port, gone.port] });
    expect(await ending(call(rig, 'a'))).toBe('ECONNRESET');
    const record = await oneRecord(rig);
    expect(record?.outcome).toBe('not-listening');
    expect(record?.detail).toMatch(/^redis\/\d on r\d: .*; 3 instances were tried$/);
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

it('tells of a port that another program holds, and takes it when it is free', async () => {
  const redis = await serving(echo);
  const rig = await setup({ redis: [redis.port], retryMs: 20 });
  const late = service('late', 'private', PORT);
  const { problems, outbound } = rig.agent('a');
  const squatter = net.createServer().listen(PORT, rig.vip('a', 'late', [...SERVICES, late]));
  await once(squatter, 'listening');
  rig.change({ services: [...SERVICES, late] });
  await outbound.settled();
  expect(exceptTargets(problems)).toMatchObject([{ code: 'port-taken', subject: `late:${PORT}/tcp` }]);
  const itself = /^this agent itself \(.*\) holds port \d+, so [\d.:]+\/tcp cannot be listened on for late; /;
  await until(() => itself.test(exceptTargets(problems)[0]?.message ?? ''));
  // The rest works.
  expect(await exchange(call(rig, 'a'), 'ping')).toBe('ping');
  squatter.close();
  await until(() => exceptTargets(problems).length === 0);
  expect(await ending(call(rig, 'a', rig.vip('a', 'late')))).toBe('ECONNRESET');
});
