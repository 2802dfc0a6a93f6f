import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Readable } from 'node:stream';
import type { HostPort, Protocol } from '@weft/proto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../../../../examples/demo/ports.ts';
import type { Owner, OwnerRule } from '../words/owner.ts';
import { OwnerFinder } from './finder.ts';
import { type Finder, findBy, WAYS, type Way } from './finders.fixture.ts';
import { asUser, BIN, Caller, DAEMON, IS_ROOT } from './programs.fixture.ts';

/** Where others come, if there is any such address. */
const OWN = Object.values(networkInterfaces())
  .flatMap((all) => all ?? [])
  .flatMap(({ internal, family, address }) => (internal || family === 'IPv6' ? [] : [address]))
  .slice(0, 1);

let server: net.Server;
let datagrams: dgram.Socket;
let at: HostPort;
let udpAt: HostPort;
const cleanup: (() => unknown)[] = [];

beforeEach(async () => {
  server = net.createServer(() => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  datagrams = dgram.createSocket('udp4');
  await new Promise<void>((resolve) => datagrams.bind(0, '127.0.0.1', resolve));
  at = { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  udpAt = { host: '127.0.0.1', port: datagrams.address().port };
});
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
  server.close();
  datagrams.close();
});

function noTables(): never {
  throw new Error('the tables are read, where the kernel was to be asked');
}

/** Asks the kernel alone. */
async function diagnosed(way: Way, ...rules: readonly OwnerRule[]): Promise<Finder> {
  const finder = await findBy(way, rules, { callers: noTables, listeners: noTables });
  cleanup.push(() => finder[Symbol.dispose]());
  return finder;
}

const PYTHON = execFileSync('/usr/bin/readlink', ['-f', '/usr/bin/python3'], { encoding: 'utf8' }).trim();

function program(command?: readonly string[]): Caller {
  const caller = new Caller(command);
  cleanup.push(() => caller.end());
  return caller;
}

const byUser = (service: string, user: string): OwnerRule => ({ service, match: { user }, targets: [] });

function finderOf(...rules: readonly OwnerRule[]): OwnerFinder {
  const finder = new OwnerFinder();
  finder.follow(rules);
  return finder;
}

async function serviceOf(finder: Finder, client: HostPort, protocol: Protocol = 'tcp') {
  const [owner] = await finder.find([{ protocol, client, called: protocol === 'tcp' ? at : udpAt }]);
  return owner?.service ?? (owner?.fits.length ? `one of ${owner.fits.join()}` : undefined);
}

describe.runIf(IS_ROOT)('who calls', () => {
  it.each(['connect', 'connect6', 'udp'] as const)('is told by user, %s', async (how) => {
    const finder = finderOf(byUser('web', DAEMON.name), byUser('redis', `${BIN.uid}`));
    const protocol = how === 'udp' ? 'udp' : 'tcp';
    const to = how === 'udp' ? udpAt : at;
    const web = await program(asUser(DAEMON)).call(how, 'a', to);
    const redis = await program(asUser(BIN)).call(how, 'a', to);
    const root = await program().call(how, 'a', to);
    expect(await serviceOf(finder, web, protocol)).toBe('web');
    expect(await serviceOf(finder, redis, protocol)).toBe('redis');
    expect(await serviceOf(finder, root, protocol)).toBeUndefined();
  });

  it('is told with its process, user and program', async () => {
    const caller = program(asUser(DAEMON));
    const client = await caller.call('connect', 'a', at);
    const [owner] = await finderOf(byUser('web', 'daemon')).find([{ protocol: 'tcp', client, called: at }]);
    expect(owner).toMatchObject({ user: 'daemon', pid: caller.pid });
    expect(owner?.program).toMatch(/python3/);
  });

  it('is told by the file of its program, and not by what it says of itself', async () => {
    const finder = finderOf(
      { service: 'web', match: { command: '/usr/bin/perl' }, targets: [] },
      { service: 'redis', match: { command: PYTHON }, targets: [] },
    );
    // Its first word is perl's.
    const client = await program(['/bin/bash', '-c', 'exec -a /usr/bin/perl "$@"', 'bash']).call('connect', 'a', at);
    expect(await serviceOf(finder, client)).toBe('redis');
  });

  it('is nobody when two fit', async () => {
    const finder = finderOf(
      byUser('web', 'daemon'),
      { service: 'redis', match: { user: 'daemon', command: 'perl' }, targets: [] },
      byUser('mailer', '1'),
    );
    const client = await program(asUser(DAEMON)).call('connect', 'a', at);
    expect(await serviceOf(finder, client)).toBe('one of web,mailer');
  });

  describe('where a process of the same user may not be looked into', () => {
    const RULES: readonly OwnerRule[] = [
      { service: 'web', match: { command: PYTHON }, targets: [] },
      { service: 'redis', match: { command: 'perl' }, targets: [] },
    ];
    /** Between setuid and execve, until it is told to go on. */
    const BEGINS =
      'import os, sys; os.setgid(1); os.setuid(1); print("here", flush=True); sys.stdin.readline(); os.execv("/bin/sleep", ["sleep", "60"])';

    const beginning = async (): Promise<ChildProcess> => {
      const begins = spawn(PYTHON, ['-c', BEGINS], { stdio: ['pipe', 'pipe', 'inherit'] });
      cleanup.push(() => begins.kill('SIGKILL'));
      await once(begins.stdout as Readable, 'data');
      return begins;
    };
    /** By an agent of that user, which may no more than it. */
    const asked = async (client: HostPort): Promise<Owner | undefined> => {
      const finder = finderOf(...RULES);
      const [owner] = await finder.find([{ protocol: 'tcp', client, called: at }]);
      return owner;
    };

    const become = ({ uid }: { readonly uid: number }): void => {
      process.seteuid?.(0);
      process.setegid?.(uid);
      process.seteuid?.(uid);
    };
    afterEach(() => become({ uid: 0 }));

    it('one that only begins is waited for', async () => {
      const client = await program(asUser(DAEMON)).call('connect', 'a', at);
      const begins = await beginning();
      become(DAEMON);
      setTimeout(() => begins.stdin?.write('on\n'), 15);
      expect(await asked(client)).toMatchObject({ service: 'web' });
    });

    it('one that stays may hold the socket, and is named', async () => {
      const client = await program(asUser(DAEMON)).call('connect', 'a', at);
      const begins = await beginning();
      // More than are looked at where there was no time since the last look.
      for (let more = 0; more < 8; more++) {
        const other = spawn('/bin/sleep', ['60'], { uid: DAEMON.uid, gid: DAEMON.uid });
        cleanup.push(() => other.kill('SIGKILL'));
      }
      become(DAEMON);
      // The time of a look goes by while a busy machine runs others.
      await expect
        .poll(() => asked(client), { timeout: 20_000 })
        .toMatchObject({
          service: undefined,
          hiddenBy: { service: 'web', pid: begins.pid, name: expect.stringMatching(/^python3/) },
        });
    });
  });

  it('is who listens in the place of a service, and what that starts as the same user', async () => {
    const listener = program();
    const port = Number(await listener.ask('listen x'));
    const finder = finderOf({ service: 'web', targets: [{ host: '127.0.0.1', port, protocol: 'tcp' }] });
    expect(await serviceOf(finder, await listener.call('connect', 'a', at))).toBe('web');
    const other = await program().call('connect', 'a', at);
    expect(await serviceOf(finder, other)).toBeUndefined();
    // Taken over by another: the place is whose it is now.
    await listener.ask('close x');
    expect(await serviceOf(finder, await listener.call('connect', 'b', at))).toBeUndefined();
  });

  it('is nobody who listens in the place of a service and is not what the file says of it', async () => {
    const taker = program(asUser(BIN));
    const port = Number(await taker.ask('listen x'));
    const finder = finderOf({
      service: 'web',
      match: { user: 'daemon' },
      targets: [{ host: '127.0.0.1', port, protocol: 'tcp' }],
    });
    expect(await serviceOf(finder, await taker.call('connect', 'a', at))).toBeUndefined();
  });

  it('is nobody when a process of another service holds the same socket', async () => {
    const listener = program();
    const port = Number(await listener.ask('listen x'));
    const finder = finderOf({ service: 'web', targets: [{ host: '127.0.0.1', port, protocol: 'tcp' }] });
    const client = await listener.call('connect', 'a', at);
    await listener.ask('fork');
    expect(await serviceOf(finder, client)).toBe('web');
    const byFile: OwnerRule = { service: 'web', match: { user: '0', command: PYTHON }, targets: [] };
    const byProgram = finderOf(byFile);
    expect(await serviceOf(byProgram, client)).toBe('web');
    // What runs as its maker's user, and is another program, beside one that is known to hold it.
    const other = await listener.ask('exec /bin/sleep 60');
    expect(Number(other)).toBeGreaterThan(0);
    // Others are looked into as far as that takes little of the time.
    for (const one of [byProgram, finderOf(byFile)])
      await expect.poll(() => serviceOf(one, client), { timeout: 20_000, interval: 500 }).toBeUndefined();
  });

  it.each(WAYS)('is not who listens at the caller’s own place, by the kernel asked for one by %s', async (way) => {
    const finder = await diagnosed(way, byUser('web', 'daemon'));
    // It is known to answer.
    expect(await serviceOf(finder, await program(asUser(DAEMON)).call('connect', 'a', at))).toBe('web');
    const port = Number(await program(asUser(DAEMON)).ask('listen x'));
    expect(await serviceOf(finder, { host: '127.0.0.1', port })).toBeUndefined();
    for (const host of ['127.0.0.1', '::'] as const) {
      const listener = program(asUser(DAEMON));
      const taken = Number(await listener.ask(`take y tcp ${host} 0`));
      expect(await serviceOf(finder, { host: '127.0.0.1', port: taken })).toBeUndefined();
    }
  });

  it('is who calls to the target reach, whoever listens beside it', async () => {
    const listener = program(asUser(DAEMON));
    const port = Number(await listener.ask('listen x'));
    const targets = ['127.0.0.1', '::1'].map((host) => ({ host, port, protocol: 'tcp' as const }));
    const finder = finderOf({ service: 'web', targets });
    expect(await serviceOf(finder, await listener.call('connect', 'a', at))).toBe('web');
    const other = program(asUser(BIN));
    await other.ask(`take y tcp ::1 ${port}`);
    expect(await serviceOf(finder, await other.call('connect', 'a', at))).toBeUndefined();
    expect(await serviceOf(finder, await listener.call('connect', 'a', at))).toBe('web');
  });

  it('is not who has the port here of a service that is served on another host', async () => {
    const listener = program(asUser(DAEMON));
    const port = Number(await listener.ask('take x tcp 0.0.0.0 0'));
    await listener.ask(`take y tcp ::1 ${port}`);
    const client = await listener.call('connect', 'a', at);
    const byTarget = (host: string) =>
      serviceOf(finderOf({ service: 'web', targets: [{ host, port, protocol: 'tcp' }] }), client);
    for (const host of ['198.51.100.7', '2001:db8::7']) expect(await byTarget(host)).toBeUndefined();
    for (const host of ['127.0.0.1', '::1', ...OWN]) expect(await byTarget(host)).toBe('web');
  });

  it('is who listened for the service first, whoever takes an address that its calls would go to before', async () => {
    const listener = program(asUser(DAEMON));
    const port = Number(await listener.ask('take x tcp ::1 0'));
    const targets = ['127.0.0.1', '::1'].map((host) => ({ host, port, protocol: 'tcp' as const }));
    const finder = finderOf({ service: 'web', targets });
    expect(await serviceOf(finder, await listener.call('connect', 'a', at))).toBe('web');
    const taker = program(asUser(BIN));
    await taker.ask(`take y tcp 127.0.0.1 ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect(await serviceOf(finder, await taker.call('connect', 'a', at))).toBeUndefined();
    expect(await serviceOf(finder, await listener.call('connect', 'b', at))).toBe('web');
  });

  it('is nobody who takes the place of a service after its program, as another user, until that is back', async () => {
    const listener = program(asUser(DAEMON));
    const port = Number(await listener.ask('listen x'));
    const place = { host: '127.0.0.1', port, protocol: 'tcp' } as const;
    const rule = { service: 'web', targets: [place] };
    const finder = finderOf(rule);
    expect(await serviceOf(finder, await listener.call('connect', 'a', at))).toBe('web');
    await listener.ask('close x');
    const taker = program(asUser(BIN));
    await taker.ask(`take x tcp 127.0.0.1 ${port}`);
    const client = await taker.call('connect', 'a', at);
    for (const wait of [0, 1_100]) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      expect(await serviceOf(finder, client)).toBeUndefined();
    }
    // Nor is it where the service is declared at other ports, or no rule asked meanwhile.
    const moved = { ...rule, targets: [place, { ...place, port: await freePort() }] };
    for (const rules of [[moved], [], [rule]]) {
      finder.follow(rules);
      expect(await serviceOf(finder, client)).toBeUndefined();
    }
    await taker.ask('close x');
    await listener.ask(`take y tcp 127.0.0.1 ${port}`);
    await expect.poll(async () => serviceOf(finder, await listener.call('connect', 'b', at))).toBe('web');
  });

  it('is who was seen there first before anybody asked, and whoever is there where the agent file says otherwise', async () => {
    const taker = program(asUser(BIN));
    const port = Number(await taker.ask('listen x'));
    const rule = { service: 'web', targets: [{ host: '127.0.0.1', port, protocol: 'tcp' }] } as const;
    const finder = finderOf({ ...rule, first: DAEMON.uid });
    const client = await taker.call('connect', 'a', at);
    expect(await serviceOf(finder, client)).toBeUndefined();
    // Which says no more than whoever is that program.
    finder.follow([{ ...rule, match: { command: PYTHON } }]);
    expect(await serviceOf(finder, client)).toBe('web');
    finder.follow([rule]);
    await expect.poll(() => serviceOf(finder, client), { timeout: 10_000, interval: 20 }).toBe('web');
  });

  it('is known once it has begun to listen, whoever was asked about before', async () => {
    const listener = program(asUser(DAEMON));
    const port = Number(await listener.ask('listen x'));
    await listener.ask('close x');
    const finder = finderOf({ service: 'web', targets: [{ host: '127.0.0.1', port, protocol: 'tcp' }] });
    const client = await listener.call('connect', 'a', at);
    expect(await serviceOf(finder, client)).toBeUndefined();
    await listener.ask(`take y tcp 127.0.0.1 ${port}`);
    await expect.poll(() => serviceOf(finder, client), { timeout: 10_000, interval: 20 }).toBe('web');
  });

  it('is nobody where programs of several users listen for one service', async () => {
    const listeners = [program(asUser(DAEMON)), program(asUser(BIN))];
    const ports = await Promise.all(listeners.map(async (one) => Number(await one.ask('listen x'))));
    const finder = finderOf({
      service: 'web',
      targets: ports.map((port) => ({ host: '127.0.0.1', port, protocol: 'tcp' })),
    });
    for (const one of listeners) expect(await serviceOf(finder, await one.call('connect', 'a', at))).toBeUndefined();
  });

  it('is nobody where another user has the same port for datagrams, at whatever address', async () => {
    const caller = program(asUser(DAEMON));
    const client = await caller.call('udp', 'a', udpAt);
    const finder = finderOf(byUser('web', 'daemon'));
    const [before] = await finder.find([{ protocol: 'udp', client, called: udpAt }]);
    expect(before?.service).toBe('web');
    const other = program(asUser(BIN));
    await other.ask(`take b udp 127.0.0.99 ${client.port}`);
    expect(await serviceOf(finder, client, 'udp')).toBeUndefined();
    await other.ask('close b');
    const again = { protocol: 'udp', client, called: udpAt, known: before?.sockets ?? '' } as const;
    expect(await finder.find([again])).toMatchObject([{ sockets: before?.sockets }]);
    await caller.ask('close a');
    await other.ask(`take b udp 127.0.0.1 ${client.port}`);
    const [after] = await finder.find([again]);
    expect(after?.sockets).not.toBe(before?.sockets);
  });

  it('is nobody once it has gone', async () => {
    const caller = program(asUser(DAEMON));
    const client = await caller.call('connect', 'a', at);
    await caller.ask('close a');
    expect(await serviceOf(finderOf(byUser('web', 'daemon')), client)).toBeUndefined();
  });

  it.each(WAYS)('is the same by the kernel asked for one socket by %s as by its tables', async (way) => {
    const finder = await diagnosed(way, byUser('web', 'daemon'));
    const caller = program(asUser(DAEMON));
    for (const how of ['connect', 'connect6'] as const)
      expect(await serviceOf(finder, await caller.call(how, how, at))).toBe('web');
    const gone = { host: '127.0.0.1', port: 1 };
    expect(await serviceOf(finder, gone)).toBeUndefined();
    // Nobody accepts there, and one waits: the next is on its way still, and so is none that was accepted.
    const called = { host: '127.0.0.1', port: Number(await caller.ask('listen full 0')) };
    const [waiting, begun] = [await caller.call('connect', 'one', called), await caller.call('begin', 'two', called)];
    const asked = [waiting, begun].map((client) => ({ protocol: 'tcp', client, called }) as const);
    for (const each of [finder, finderOf(byUser('web', 'daemon'))])
      expect((await each.find(asked)).map(({ service }) => service)).toEqual(['web', undefined]);
  });

  const GROUPS = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) => existsSync(`${path}/cgroup.procs`));
  it.runIf(GROUPS !== undefined)('is not of the unit that another listens for', async () => {
    const port = await freePort();
    const group = `${GROUPS}/weft-test-${process.pid}-manager.service`;
    mkdirSync(group, { recursive: true });
    cleanup.push(() => rmdirSync(group));
    const manager =
      `import socket, subprocess, sys\ns = socket.create_server(("127.0.0.1", ${port}))\n` +
      'sys.exit(subprocess.call(sys.argv[1:]))';
    const caller = program(['/usr/bin/python3', '-c', manager]);
    const rules: OwnerRule = { service: 'web', targets: [{ host: '127.0.0.1', port, protocol: 'tcp' }] };
    const client = await caller.call('connect', 'a', at);
    expect(await serviceOf(finderOf(rules), client)).toBe('web');
    writeFileSync(`${group}/cgroup.procs`, `${caller.pid}`);
    expect(await serviceOf(finderOf(rules), client)).toBeUndefined();
  });

  it.runIf(GROUPS !== undefined)('is told by control group and unit', async () => {
    const slice = `${GROUPS}/weft-test-${process.pid}.slice`;
    const groups = ['one', 'two'].map((name) => `${slice}/${name}.service`);
    const callers = groups.map((group) => {
      mkdirSync(group, { recursive: true });
      const caller = new Caller();
      writeFileSync(`${group}/cgroup.procs`, `${caller.pid}`);
      return caller;
    });
    cleanup.push(async () => {
      for (const caller of callers) await caller.end();
      for (const group of [...groups, slice]) rmdirSync(group);
    });
    const finder = finderOf(
      { service: 'web', match: { unit: 'one' }, targets: [] },
      { service: 'redis', match: { cgroup: groups[1]?.slice(GROUPS?.length) ?? '' }, targets: [] },
    );
    const clients = await Promise.all(callers.map((caller) => caller.call('connect', 'a', at)));
    expect(await Promise.all(clients.map((client) => serviceOf(finder, client)))).toEqual(['web', 'redis']);
  });

  it.runIf(GROUPS !== undefined).each(WAYS)(
    'is of the unit that its socket was made in, by the kernel asked by %s',
    async (way) => {
      const slice = `${GROUPS}/weft-test-${process.pid}-maker.slice`;
      const [one, two] = [`${slice}/one.service`, `${slice}/two.service`];
      for (const group of [one, two]) mkdirSync(group, { recursive: true });
      const caller = new Caller(asUser(DAEMON));
      cleanup.push(async () => {
        await caller.end();
        for (const group of [one, two, slice]) rmdirSync(group);
      });
      const finder = await diagnosed(
        way,
        { service: 'web', match: { unit: 'one' }, targets: [] },
        { service: 'redis', match: { user: 'daemon', unit: 'two' }, targets: [] },
      );
      writeFileSync(`${one}/cgroup.procs`, `${caller.pid}`);
      const client = await caller.call('connect', 'a', at);
      expect(await serviceOf(finder, client)).toBe('web');
      writeFileSync(`${two}/cgroup.procs`, `${caller.pid}`);
      expect(await serviceOf(finder, client)).toBe('web');
      expect(await serviceOf(finder, await caller.call('connect', 'b', at))).toBe('redis');
    },
  );

  it('is found though it began long ago and holds thousands of files, and holds up nobody', async () => {
    const server = net.createServer(() => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 1_024, resolve));
    cleanup.push(() => server.close());
    const to = { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
    const [many, one] = [program(), program()];
    expect(await many.ask(`many a ${to.host} ${to.port} 900`)).toBe('900');
    const finder = finderOf({ service: 'web', match: { command: PYTHON }, targets: [] });
    const ask = async (client: HostPort) => {
      const [owner] = await finder.find([{ protocol: 'tcp', client, called: to }]);
      return owner?.service === 'web' ? owner.pid : undefined;
    };
    expect(await ask(await one.call('connect', 'a', to))).toBe(one.pid);
    expect(await ask(await many.call('connect', 'b', to))).toBe(many.pid);
  });
});
