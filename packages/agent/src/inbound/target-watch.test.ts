import { once } from 'node:events';
import net from 'node:net';
import { TARGET_PROBLEM } from '@weft/proto';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../../../../examples/demo/ports.ts';
import type { AgentService } from '../config/agent-file.ts';
import { exceptTargets, Rig, type RigOptions, service, until } from '../outbound/rig.fixture.ts';
import type { Problems } from '../words/problems.ts';
import { type Listener, ListenerTable, readListenerTable } from './listener-table.ts';
import { SeenWildcards } from './seen-wildcards.ts';
import { TargetWatch } from './target-watch.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

function listener(address: string, port: number, protocol: Listener['protocol'] = 'tcp'): Listener {
  return { address, port, protocol };
}

/** r runs redis, rabbit (mapped), mailer, and a service that the mesh does not know; web runs elsewhere, at redis' port. */
async function setup(options: RigOptions = {}) {
  let table: ListenerTable | undefined = new ListenerTable([]);
  const rig = await Rig.start(
    {
      services: [
        service('redis', 'private', 7001, 7002, 7003, '7001/udp'),
        service('rabbit', 'private', 7010),
        service('mailer', 'worker'),
        service('web', 'web', 7001),
      ],
      agents: [
        { host: 'r', runs: { redis: {}, rabbit: { '7010/tcp': 7099 }, mailer: {}, unknown: {} } },
        { host: 'w', runs: { web: { '7001/tcp': 1 } } },
      ],
    },
    { readTable: async () => table, ...options },
  );
  cleanups.push(() => rig.stop());
  const { inbound, problems } = rig.agent('r');
  const look = async (...listeners: readonly Listener[]) => {
    table = new ListenerTable(listeners);
    await inbound.watch.refresh();
  };
  return { rig, inbound, problems, look };
}

/** But for those of targets, where nothing listens in most of these tests. */
function listenerProblems(problems: Problems): readonly string[] {
  return exceptTargets(problems).map(({ code, subject }) => `${code} ${subject}`);
}

function targetProblems(problems: Problems): readonly string[] {
  return problems.current.flatMap(({ code, message }) => (code === TARGET_PROBLEM ? [message] : []));
}

/** An agent that runs redis, its port 7001 at this one. */
async function called(port: number, readTable: () => Promise<ListenerTable | undefined>) {
  const runs = { redis: { '7001/tcp': port } };
  const rig = await Rig.start(
    { services: [service('redis', 'private', 7001)], agents: [{ host: 'r', runs }] },
    { readTable: () => readTable() },
  );
  cleanups.push(() => rig.stop());
  return rig.agent('r');
}

describe('a target where nobody listens', () => {
  const START = 'start the program, or say in the agent file where it listens';

  it('is a problem with the address that was tried, neighbours that fail alike as one, until it answers', async () => {
    const { problems, look } = await setup();
    await look();
    expect(problems.current.map(({ code, subject }) => `${code} ${subject}`)).toEqual([
      'target-not-listening rabbit:7010/tcp',
      'target-not-listening redis:7001-7003/tcp',
      'target-not-listening redis:7001/udp',
    ]);
    expect(targetProblems(problems)).toEqual([
      `rabbit 7010 → 127.0.0.1:7099: connection refused; ${START}`,
      `redis 7001-7003/tcp → 127.0.0.1:7001-7003: connection refused; ${START}`,
      `redis 7001/udp → 127.0.0.1:7001: connection refused; ${START}`,
    ]);
    await look(listener('127.0.0.1', 7002), listener('127.0.0.1', 7099), listener('127.0.0.1', 7001, 'udp'));
    expect(problems.current.map(({ subject }) => subject)).toEqual(['redis:7001/tcp', 'redis:7003/tcp']);
  });

  it('tells where a program listens instead', async () => {
    const { problems, look } = await setup();
    await look(listener('127.0.0.1', 7010), listener('192.0.2.7', 7002), listener('::', 7001), listener('::', 7003));
    expect(targetProblems(problems)).toEqual([
      'rabbit 7010 → 127.0.0.1:7099: connection refused; a program listens on 127.0.0.1:7010: say in the agent file where it listens',
      `redis 7001/udp → 127.0.0.1:7001: connection refused; ${START}`,
      'redis 7002 → 127.0.0.1:7002: connection refused; a program listens on 192.0.2.7:7002: say in the agent file where it listens',
    ]);
  });

  it('is found as it goes and comes by the host’s own table', async () => {
    const server = net.createServer((socket) => socket.destroy());
    const listen = (port: number) => once(server.listen(port, '127.0.0.1'), 'listening');
    const port = await freePort();
    await listen(port);
    const { problems, inbound } = await called(port, readListenerTable);
    expect(inbound.watch.report()).toMatchObject([{ healthy: true }]);
    expect(problems.current).toEqual([]);
    server.close();
    await until(() => problems.current.length > 0);
    expect(targetProblems(problems)).toEqual([`redis 7001 → 127.0.0.1:${port}: connection refused; ${START}`]);
    await listen(port);
    await until(() => problems.current.length === 0);
    server.close();
  });

  it('is found by a call where the kernel shows no table', async () => {
    const port = await freePort();
    const { problems } = await called(port, async () => undefined);
    await until(() => problems.current.length > 0);
    expect(targetProblems(problems)).toEqual([`redis 7001 → 127.0.0.1:${port}: connection refused; ${START}`]);
  });
});

describe('the place of a service', () => {
  const by = (uid: number, port = 7001) => ({ ...listener('127.0.0.1', port), uid });
  const taken = ({ current }: Problems) => current.filter(({ code }) => code === 'place-taken');

  it('is whose it was first, whatever changes meanwhile, until the agent file says otherwise', async () => {
    const { rig, inbound, problems, look } = await setup();
    const { watch } = inbound;
    const services = inbound.services as Map<string, AgentService>;
    const first = () => Object.fromEntries(watch.firstUsers);
    await look(by(1), by(1, 7099));
    expect(first()).toEqual({ redis: 1, rabbit: 1 });
    await look(by(2));
    expect(first()).toEqual({ redis: 1, rabbit: 1 });
    expect(taken(problems)).toMatchObject([
      {
        subject: 'redis',
        message: expect.stringMatching(
          /of user bin .* user daemon was seen there first: calls to redis come to it.* match: \{ user: bin \} for redis/,
        ),
      },
    ]);
    // Other ports, and a mesh without it for a while.
    const more = service('redis', 'private', 7001, 7002);
    rig.change({ services: [more] });
    expect(taken(problems)).toHaveLength(1);
    rig.change({ services: [service('rabbit', 'private', 7010)] });
    expect(taken(problems)).toEqual([]);
    rig.change({ services: [more] });
    expect([first(), taken(problems).length]).toEqual([{ redis: 1, rabbit: 1 }, 1]);
    // One port of it is as good as all.
    await look(by(1), by(2, 7002));
    expect(taken(problems)).toHaveLength(1);
    await look(by(1), by(1, 7002));
    expect(taken(problems)).toEqual([]);
    await look(by(2));
    services.set('redis', { name: 'redis', targets: [], match: { user: 'bin' } });
    await look(by(2));
    expect([first(), taken(problems)]).toEqual([{ rabbit: 1 }, []]);
    services.set('redis', { name: 'redis', targets: [] });
    await look(by(2));
    expect(first()).toEqual({ redis: 2, rabbit: 1 });
    services.delete('redis');
    await look(by(3));
    services.set('redis', { name: 'redis', targets: [] });
    await look(by(3));
    expect([first(), taken(problems)]).toEqual([{ redis: 3, rabbit: 1 }, []]);
  });

  it('is the user’s that the agent file names: another’s program there is not called', async () => {
    const server = net.createServer((socket) => socket.on('error', () => {}).end('hello'));
    cleanups.push(() => server.close());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as net.AddressInfo;
    let uid = 1;
    const rig = await Rig.start(
      {
        services: [service('redis', 'private', 7001)],
        agents: [{ host: 'r', runs: { redis: { '7001/tcp': port } } }, { host: 'w' }],
      },
      { readTable: async () => new ListenerTable([by(uid, port)]) },
    );
    cleanups.push(() => rig.stop());
    const { inbound, problems } = rig.agent('r');
    const services = inbound.services as Map<string, AgentService>;
    const here = services.get('redis');
    const heard = async () => {
      const client = net.connect(7001, rig.vip('w', 'redis'));
      let said = '';
      client.on('data', (data) => {
        said += data.toString();
      });
      client.on('error', () => {});
      await new Promise((resolve) => client.on('close', resolve));
      return said;
    };
    const look = async (now: number, match?: AgentService['match']) => {
      uid = now;
      services.set('redis', { name: 'redis', targets: here?.targets ?? [], ...(match && { match }) });
      await inbound.watch.refresh();
      const codes = exceptTargets(problems).map(({ code }) => code);
      const isTold = targetProblems(problems).length > 0;
      return [inbound.watch.report()[0]?.healthy, inbound.watch.listening('redis', 7001, 'tcp'), isTold, ...codes];
    };
    expect(await look(1, { user: 'bin' })).toEqual([false, false, false, 'place-taken']);
    expect(taken(problems)).toMatchObject([
      {
        subject: 'redis:7001/tcp',
        message:
          `redis 7001 → 127.0.0.1:${port}: a program of user daemon listens there, who is another than match in the agent file names, so no call goes there; ` +
          'end that program, or, where it is right, let the agent file say match: { user: daemon } for redis',
      },
    ]);
    expect(await heard()).toBe('');
    await until(() => rig.records().length > 0);
    expect(rig.records()[0]).toMatchObject({
      outcome: 'not-listening',
      detail: expect.stringMatching(/of user daemon listens there, who is another than match/),
    });
    // Root makes sockets for others; of a user that is not known here, nobody can tell; without a user, any may be.
    for (const match of [{ user: 'daemon' }, { user: 'nobody-of-that-name' }, { unit: 'redis' }])
      expect(await look(1, match)).toEqual([true, true, false]);
    expect(await look(0, { user: 'bin' })).toEqual([true, true, false]);
    expect(await heard()).toBe('hello');
  });

  it('is told of by port, neighbours as one, and hides no port where nobody listens', async () => {
    const { inbound, problems, look } = await setup();
    const services = inbound.services as Map<string, AgentService>;
    services.set('redis', { name: 'redis', targets: [], match: { user: 'daemon' } });
    const told = (code: string) =>
      problems.current.flatMap((one) => (one.code === code && one.subject.startsWith('redis') ? [one.subject] : []));
    // The first is bin's at ::1 alone, and nobody's where it is meant; a user without a name has the other two.
    const games = (port: number) => by(54_321, port);
    await look({ ...listener('::1', 7001), uid: 2 }, by(1, 7001), by(1, 7002), by(1, 7003));
    expect([told('place-taken'), told(TARGET_PROBLEM)]).toEqual([['redis:7001/tcp'], ['redis:7001/udp']]);
    expect(inbound.watch.listening('redis', 7001, 'tcp')).toBe(true);
    await look({ ...listener('::1', 7001), uid: 2 }, games(7002), games(7003));
    expect([told('place-taken'), told(TARGET_PROBLEM)]).toEqual([
      ['redis:7001/tcp', 'redis:7002-7003/tcp'],
      ['redis:7001/tcp', 'redis:7001/udp'],
    ]);
    expect(
      taken(problems).map(({ message }) => / → (\S+): .* say (match: .*) for redis$/.exec(message)?.slice(1)),
    ).toEqual([
      ['[::1]:7001', 'match: { user: bin }'],
      ['127.0.0.1:7002-7003', 'match: { user: "54321" }'],
    ]);
    // Nor is another's told of as where the service's own listens instead.
    const targets = [{ port: 7001, protocol: 'tcp' as const, host: '127.0.0.1', targetPort: 7098 }];
    services.set('redis', { name: 'redis', targets, match: { user: 'daemon' } });
    const instead = async (uid: number) => {
      await look(by(uid, 7001));
      const message = targetProblems(problems).find((one) => one.includes(':7098'));
      return message?.includes('a program listens on 127.0.0.1:7001');
    };
    expect([await instead(2), await instead(1)]).toEqual([false, true]);
  });

  it('is asked of this host’s own addresses alone', async () => {
    const { inbound, problems, look } = await setup();
    const services = inbound.services as Map<string, AgentService>;
    const at = async (host: string, match?: AgentService['match']) => {
      const targets = [{ port: 7001, protocol: 'udp' as const, host, targetPort: 7001 }];
      services.set('redis', { name: 'redis', targets, ...(match && { match }) });
      await look({ ...listener('0.0.0.0', 7001, 'udp'), uid: 1 });
      return [taken(problems).length, Object.fromEntries(inbound.watch.firstUsers)];
    };
    expect(await at('198.51.100.7', { user: 'bin' })).toEqual([0, {}]);
    expect(await at('198.51.100.7')).toEqual([0, {}]);
    expect(await at('127.0.0.9', { user: 'bin' })).toEqual([1, {}]);
    expect(await at('127.0.0.9')).toEqual([0, { redis: 1 }]);
  });

  it('is nobody’s while programs of several users are there from the first', async () => {
    const { inbound, problems, look } = await setup();
    await look(by(1), by(2, 7002));
    expect([[...inbound.watch.firstUsers], taken(problems)]).toEqual([[], []]);
  });
});

describe('the report', () => {
  it('tells which declared ports nothing listens on; workers are always well', async () => {
    const { inbound, look } = await setup();
    const { watch } = inbound;
    await look();
    expect(inbound.watch.report()).toEqual([
      { service: 'mailer', healthy: true, notListening: [] },
      { service: 'rabbit', healthy: false, notListening: [{ protocol: 'tcp', first: 7010, last: 7010 }] },
      {
        service: 'redis',
        healthy: false,
        notListening: [
          { protocol: 'tcp', first: 7001, last: 7003 },
          { protocol: 'udp', first: 7001, last: 7001 },
        ],
      },
    ]);
    await look(listener('127.0.0.1', 7002), listener('127.0.0.1', 7099));
    expect(inbound.watch.report().map(({ healthy }) => healthy)).toEqual([true, true, true]);
    expect(watch.listening('redis', 7002, 'tcp')).toBe(true);
    expect(watch.listening('redis', 7001, 'tcp')).toBe(false);
    expect(watch.listening('web', 7001, 'tcp')).toBe(false);
  });

  it.each([
    ['there is no file for it', () => Promise.reject(Object.assign(new Error('EMFILE'), { code: 'EMFILE' }))],
    ['the system shows its table no more', () => Promise.resolve(undefined)],
    ['the system shows that of IPv6 no more', () => Promise.resolve(new ListenerTable([], 2))],
  ])('stays as it was while no look can be made, and that is told: %s', async (_why, fail) => {
    let read: () => Promise<ListenerTable | undefined> = async () =>
      new ListenerTable([listener('127.0.0.1', 7002), listener('127.0.0.1', 7099)]);
    const { inbound, problems } = await setup({ readTable: () => read() });
    const before = inbound.watch.report();
    expect(before.map(({ healthy }) => healthy)).toEqual([true, true, true]);
    expect(listenerProblems(problems)).toEqual([]);
    read = fail;
    await inbound.watch.refresh();
    await inbound.watch.refresh();
    expect(inbound.watch.report()).toEqual(before);
    expect(inbound.watch.listening('redis', 7002, 'tcp')).toBe(true);
    expect(listenerProblems(problems)).toEqual(['no-look listeners']);
  });

  it('is announced when it changes, and only then', async () => {
    const { inbound, look } = await setup();
    let changes = 0;
    inbound.watch.onChange(() => changes++);
    await look(listener('127.0.0.1', 7002));
    const once = changes;
    expect(once).toBeGreaterThan(0);
    await look(listener('127.0.0.1', 7002), listener('127.0.0.1', 9999));
    expect(changes).toBe(once);
    await look();
    expect(changes).toBe(once + 1);
  });

  it.each([
    ['does not tell', async () => undefined],
    ['could not be read since the start', () => Promise.reject(new Error('EMFILE'))],
  ])('probes what the kernel’s table %s', async (_what, readTable) => {
    const server = net.createServer((socket) => socket.destroy());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(() => server.close());
    const { port } = server.address() as net.AddressInfo;
    const rig = await Rig.start(
      { services: [service('redis', 'private', 7001)], agents: [{ host: 'r', runs: { redis: { '7001/tcp': port } } }] },
      { readTable },
    );
    cleanups.push(() => rig.stop());
    await until(() => rig.agent('r').inbound.watch.report()[0]?.healthy === true);
  });
});

describe('the callers’ addresses', () => {
  it('cannot be given to a program on ::1 alone, and that is a problem until it is mended', async () => {
    const { problems, look } = await setup();
    await look(listener('::1', 7002), listener('127.0.0.1', 7001));
    expect(problems.current.filter(({ code }) => code === 'caller-address')).toMatchObject([
      { subject: 'redis:7002/tcp' },
    ]);
    await look(listener('127.0.0.1', 7002), listener('::1', 7002));
    expect(problems.current.filter(({ code }) => code === 'caller-address')).toEqual([]);
  });
});

describe('ports of this host’s own programs', () => {
  const placesAt7001 = 4; // redis: VIP and instance; web: VIP and instance

  it('are held for all services while nobody is there, and given up to a program on every address', async () => {
    const { rig, inbound, problems, look } = await setup();
    const { outbound } = rig.agent('r');
    const { watch } = inbound;
    const all = outbound.listening;
    expect(watch.portUse(7001, 'tcp')).toBe('free');
    expect(listenerProblems(problems)).toEqual([]);

    await look(listener('127.0.0.1', 7001));
    expect(watch.portUse(7001, 'tcp')).toBe('specific');
    expect(outbound.listening).toBe(all);

    await look(listener('0.0.0.0', 7001));
    expect(watch.portUse(7001, 'tcp')).toBe('wildcard');
    expect(outbound.listening).toBe(all - placesAt7001);
    expect(listenerProblems(problems)).toEqual([
      'port-shared 0.redis:7001/tcp',
      'port-shared redis:7001/tcp',
      'port-taken 0.web:7001/tcp',
      'port-taken web:7001/tcp',
    ]);

    // Gone, it is expected to come back as it was; and what waits for it says so, the service's own address too.
    await look();
    expect(watch.portUse(7001, 'tcp')).toBe('awaited');
    expect(listenerProblems(problems)).toEqual([
      'port-awaited 0.redis:7001/tcp',
      'port-awaited 0.web:7001/tcp',
      'port-awaited redis:7001/tcp',
      'port-awaited web:7001/tcp',
    ]);

    // Seen on one address it is known by that.
    await look(listener('127.0.0.1', 7001));
    await look();
    await outbound.settled();
    expect(outbound.listening).toBe(all);
    expect(listenerProblems(problems)).toEqual([]);
  });

  it('are held beside a program that takes IPv6 alone on every address, and beside one on another address', async () => {
    const kept: (readonly string[])[] = [];
    const wildcards = new SeenWildcards(['7001/tcp', '7002/tcp'], (ports) => kept.push(ports));
    let table = new ListenerTable([listener('::', 7001)], 4, ['7001/tcp']);
    const { rig, inbound, problems } = await setup({ wildcards, readTable: async () => table });
    const { watch } = inbound;
    expect([watch.portUse(7001, 'tcp'), watch.portUse(7002, 'tcp')]).toEqual(['specific', 'awaited']);
    expect(watch.listening('redis', 7001, 'tcp')).toBe(true);
    table = new ListenerTable([listener('192.0.2.7', 7002), listener('127.80.0.1', 7003)]);
    await watch.refresh();
    expect([watch.portUse(7001, 'tcp'), watch.portUse(7002, 'tcp')]).toEqual(['free', 'specific']);
    expect(kept).toEqual([['7002/tcp'], []]);
    await rig.agent('r').outbound.settled();
    expect(listenerProblems(problems)).toEqual([]);
  });

  it('stay left to a program that an agent before this one saw on every address', async () => {
    const kept: (readonly string[])[] = [];
    const wildcards = new SeenWildcards(['7001/tcp'], (ports) => kept.push(ports));
    const { inbound, look } = await setup({ wildcards });
    expect(inbound.watch.portUse(7001, 'tcp')).toBe('awaited');
    await look(listener('0.0.0.0', 7001), listener('::', 7002));
    await look(listener('127.0.0.1', 7001), listener('::', 7002));
    expect(kept).toEqual([['7001/tcp', '7002/tcp'], ['7002/tcp']]);
  });

  it('follow what the agent file says of them', async () => {
    let table = new ListenerTable([]);
    let nowMs = 0;
    const told: AgentService = {
      name: 'redis',
      targets: [
        { port: 7001, protocol: 'any', host: '127.0.0.1', targetPort: 7001 },
        { port: 7002, protocol: 'any', host: '0.0.0.0', targetPort: 7002 },
      ],
    };
    const { rig, problems } = await setup();
    const watch = new TargetWatch({
      netmap: rig.agent('r').netmap,
      services: new Map([['redis', told]]),
      problems,
      signal: new AbortController().signal,
      readTable: async () => table,
      wildcards: new SeenWildcards(['7001/tcp']),
      now: () => nowMs,
    });
    const uses = async (...listeners: readonly Listener[]) => {
      table = new ListenerTable(listeners);
      await watch.refresh();
      return [watch.portUse(7001, 'tcp'), watch.portUse(7002, 'tcp')];
    };
    // What was seen before the file said otherwise does not count.
    expect(await uses()).toEqual(['free', 'awaited']);
    expect(await uses(listener('0.0.0.0', 7001), listener('127.0.0.1', 7002))).toEqual(['wildcard', 'specific']);
    // Where the program proves the file wrong it is let start again, and not waited for long.
    nowMs = 9_999;
    expect(await uses()).toEqual(['awaited', 'awaited']);
    nowMs = 10_000;
    expect(await uses()).toEqual(['free', 'awaited']);
    expect(watch.answers({ host: '127.0.0.1', port: 7002 }, 'tcp')).toBe(false);
  });
});
