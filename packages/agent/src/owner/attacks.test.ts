/** Who tries to pass for a service of the same host: the lines of docs/THREAT-MODEL.md "Who passes for whom", by real programs. */
import { execFile, execFileSync } from 'node:child_process';
import dgram from 'node:dgram';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { HostPort, Protocol } from '@weft/proto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { OwnerRule } from '../words/owner.ts';
import { Diagnosis, PERL } from './diagnosis.ts';
import { OwnerFinder } from './finder.ts';
import { type Finder, findBy, WAYS } from './finders.fixture.ts';
import { asUser, BIN, Caller, DAEMON, IS_ROOT } from './programs.fixture.ts';
import type { Sockets } from './socket-tables.ts';

const GROUPS = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) => existsSync(`${path}/cgroup.procs`));
const PYTHON = execFileSync('/usr/bin/readlink', ['-f', '/usr/bin/python3'], { encoding: 'utf8' }).trim();

const cleanup: (() => unknown)[] = [];
let at: HostPort;
let udpAt: HostPort;
beforeEach(async () => {
  const server = net.createServer(() => {});
  const datagrams = dgram.createSocket('udp4');
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  await new Promise<void>((resolve) => datagrams.bind(0, '127.0.0.1', resolve));
  at = { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  udpAt = { host: '127.0.0.1', port: datagrams.address().port };
  cleanup.push(
    () => server.close(),
    () => datagrams.close(),
  );
});
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

function program(...before: readonly string[]): Caller {
  const caller = new Caller(before);
  cleanup.push(() => caller.end());
  return caller;
}

/** As an agent does it here: by a first look, where this Node has it, which the others go along with. */
const [WAY = 'a program'] = WAYS.slice(-1);

/** Asked one thing at a time. */
function finderOf(...rules: readonly OwnerRule[]): Finder {
  const finder = findBy(WAY, rules);
  cleanup.push(async () => (await finder)[Symbol.dispose]());
  return { find: async (callers) => await (await finder).find(callers) };
}

async function serviceOf(finder: Finder, client: HostPort, protocol: Protocol = 'tcp'): Promise<string | undefined> {
  const [owner] = await finder.find([{ protocol, client, called: protocol === 'tcp' ? at : udpAt }]);
  return owner?.service;
}

const web = (match: OwnerRule['match']): OwnerRule => ({ service: 'web', targets: [], ...(match && { match }) });

/** A service that is known by its target, whose program this is. */
async function serving(listener: Caller): Promise<OwnerRule> {
  const port = Number(await listener.ask('listen target'));
  return { service: 'web', targets: [{ host: '127.0.0.1', port, protocol: 'tcp' }] };
}

/** It runs another program in its place, which keeps what it holds. */
async function becomes(caller: Caller): Promise<void> {
  await caller.ask('become /bin/sleep 60');
  await expect.poll(() => readlinkSync(`/proc/${caller.pid}/exe`)).toMatch(/\/sleep$/);
}

/** A control group, as a unit has one, which a process is put into. */
function unit(name: string): { readonly enter: (pid: number) => void } {
  const group = `${GROUPS}/weft-test-${process.pid}-${name}.service`;
  mkdirSync(group, { recursive: true });
  // Programs of the test end before.
  cleanup.unshift(() => rmdirSync(group));
  return { enter: (pid) => writeFileSync(`${group}/cgroup.procs`, `${pid}`) };
}

describe.runIf(IS_ROOT && existsSync(PERL))('nobody is taken for a service', () => {
  it('who connects and then runs the program of the service, as another user', async () => {
    const finder = finderOf(web({ user: 'daemon', command: '/bin/sleep' }), {
      service: 'other',
      targets: [],
      match: { user: 'nobody' },
    });
    const attacker = program(...asUser(BIN));
    const client = await attacker.call('connect', 'a', at);
    await becomes(attacker);
    expect(await serviceOf(finder, client)).toBeUndefined();
  });

  it.runIf(GROUPS !== undefined)('who connects and then runs the program of the service, in another unit', async () => {
    const [one, two] = [unit('exec-one'), unit('exec-two')];
    const finder = finderOf(web({ unit: `weft-test-${process.pid}-exec-one`, command: 'sleep' }));
    const [attacker, real] = [program(), program()];
    two.enter(attacker.pid);
    one.enter(real.pid);
    for (const [caller, expected] of [
      [attacker, undefined],
      [real, 'web'],
    ] as const) {
      const client = await caller.call('connect', 'a', at);
      await becomes(caller);
      expect(await serviceOf(finder, client)).toBe(expected);
    }
  });

  it('who has a setuid program of the service’s user hold the socket', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'weft-setuid-'));
    cleanup.push(() => rmSync(directory, { recursive: true }));
    chmodSync(directory, 0o755);
    const file = join(directory, 'sleep');
    copyFileSync('/bin/sleep', file);
    chownSync(file, DAEMON.uid, DAEMON.uid);
    chmodSync(file, 0o4755);
    const rules = [web({ user: 'daemon' }), web({ user: 'daemon', command: file }), web({ command: 'nothing' })];
    const attacker = program(...asUser(BIN));
    const client = await attacker.call('connect', 'a', at);
    const child = Number(await attacker.ask(`exec ${file} 60`));
    await expect
      .poll(() => statSync(`/proc/${child}`).uid === 0 || statSync(`/proc/${child}`).uid === DAEMON.uid)
      .toBe(true);
    for (const closes of [false, true]) {
      if (closes) await attacker.ask('close a');
      for (const rule of rules) expect(await serviceOf(finderOf(rule), client)).toBeUndefined();
    }
  });

  it('who hands its socket to a program of the service, of another user or its own', async () => {
    const server = program(...asUser(DAEMON));
    const rule = await serving(server);
    const way = join(tmpdir(), `weft-way-${process.pid}`);
    await server.ask(`await ${way}`);
    cleanup.push(() => rmSync(way, { force: true }));
    chmodSync(way, 0o777);
    const finder = finderOf(rule);
    expect(await serviceOf(finder, await server.call('connect', 'own', at))).toBe('web');
    const another = program(...asUser(BIN));
    const foreign = await another.call('connect', 'a', at);
    await another.ask(`hand a ${way}`);
    await server.ask('take-handed x');
    expect(await serviceOf(finder, foreign)).toBeUndefined();
    expect(await serviceOf(finderOf(web({ user: 'daemon' })), foreign)).toBeUndefined();
    await another.ask('close a');
    expect(await serviceOf(finder, foreign)).toBeUndefined();
    // Of the same user, as long as it holds it too.
    const same = program(...asUser(DAEMON));
    const handed = await same.call('connect', 'a', at);
    await same.ask(`hand a ${way}`);
    await server.ask('take-handed y');
    expect(await serviceOf(finder, handed)).toBeUndefined();
    // Also where it is asked about together with another call of who handed it, and each is found at once where one was before.
    const together = new OwnerFinder();
    together.follow([rule]);
    const [seen, before] = [await server.call('connect', 'seen', at), await same.call('connect', 'before', at)];
    for (const [client, expected] of [[seen, 'web'], [handed], [before], [seen, 'web']] as const)
      expect(await serviceOf(together, client)).toBe(expected);
    const beside = await same.call('connect', 'b', at);
    const asked = [handed, beside].map((client) => ({ protocol: 'tcp', client, called: at }) as const);
    expect((await together.find(asked)).map(({ service }) => service)).toEqual([undefined, undefined]);
  });

  it('who has more files open than are looked through, so that a program of another user is not seen to serve at what systemd handed it', async () => {
    const server = program(...asUser(DAEMON));
    const manager = program();
    const rule = await serving(manager);
    const way = join(tmpdir(), `weft-way-handed-${process.pid}`);
    await server.ask(`await ${way}`);
    cleanup.push(() => rmSync(way, { force: true }));
    await manager.ask(`hand target ${way}`);
    await server.ask('take-handed target');
    await manager.ask('close target');
    const crowd = program(...asUser(BIN));
    // More than 100,000, of as many processes as it takes.
    const most = Number(execFileSync('/bin/sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' })) || 15_000;
    const each = Math.min(15_000, most - 100);
    await crowd.ask(`files many ${each}`);
    for (let count = each; count < 110_000; count += each) await crowd.ask('fork');
    const finder = new OwnerFinder();
    finder.follow([rule]);
    expect(await serviceOf(finder, await server.call('connect', 'a', at))).toBe('web');
    expect(finder.unlooked).toContain('bin');
  });

  it.runIf(GROUPS !== undefined)('who has its user’s number in another container', async () => {
    const host = unit('container');
    const real = program(...asUser(DAEMON));
    host.enter(real.pid);
    const byTarget = await serving(real);
    const byUnit = web({ user: 'daemon', unit: `weft-test-${process.pid}-container` });
    const container = program('/usr/bin/unshare', '--pid', '--fork', '--mount-proc', '--', ...asUser(DAEMON));
    const client = await container.call('connect', 'a', at);
    // In a user namespace of its own the number is the same in there alone.
    const rootless = [
      '/usr/bin/unshare',
      '--user',
      `--map-user=${DAEMON.uid}`,
      '--map-group=1',
      '--pid',
      '--fork',
      '--',
    ];
    const mapped = program(...asUser({ uid: 54_321 }), ...rootless);
    const other = await mapped.call('connect', 'a', at);
    for (const rule of [byTarget, byUnit, web({ user: 'daemon' })])
      expect(await serviceOf(finderOf(rule), other)).toBeUndefined();
    expect(await serviceOf(finderOf(web({ user: '54321' })), other)).toBe('web');
    const datagram = await container.call('udp', 'b', udpAt);
    for (const rule of [byTarget, byUnit]) {
      const finder = finderOf(rule);
      expect(await serviceOf(finder, await real.call('connect', `x${rule.targets.length}`, at))).toBe('web');
      expect(await serviceOf(finder, client)).toBeUndefined();
      expect(await serviceOf(finder, datagram, 'udp')).toBeUndefined();
    }
  });

  it('whose process the agent cannot see, but for its user', async () => {
    const caller = program(...asUser(DAEMON));
    const client = await caller.call('connect', 'a', at);
    const module = new URL('./finder.ts', import.meta.url).href;
    const find = async (rule: OwnerRule) => {
      const code =
        `const { OwnerFinder } = await import(${JSON.stringify(module)}); const finder = new OwnerFinder(); ` +
        `finder.follow(${JSON.stringify([rule])}); const asked = ${JSON.stringify([{ protocol: 'tcp', client, called: at }])}; ` +
        'console.log(JSON.stringify(await finder.find(asked))); process.exit();';
      // As in a container that shares the network alone.
      const argv = ['--pid', '--fork', '--mount-proc', process.execPath, '--input-type=module', '-e', code];
      const { stdout } = await promisify(execFile)('/usr/bin/unshare', argv);
      return JSON.parse(stdout) as readonly { readonly service?: string; readonly user: string }[];
    };
    expect(await find(web({ user: 'daemon', command: PYTHON }))).toMatchObject([{ user: 'daemon' }]);
    expect((await find(web({ user: 'daemon', command: PYTHON })))[0]?.service).toBeUndefined();
    expect((await find(web({ user: 'daemon' })))[0]?.service).toBe('web');
  });

  it('who ends while it is looked up', async () => {
    const caller = program(...asUser(DAEMON));
    const diagnosis = new Diagnosis();
    cleanup.push(() => diagnosis.close());
    let ends: boolean = false;
    // Between the kernel's word of the socket and the look at who holds it.
    const sockets: Sockets = {
      listeners: (places) => diagnosis.listeners(places),
      callers: async (asked) => {
        const found = await diagnosis.callers(asked);
        if (ends) {
          process.kill(caller.pid, 'SIGKILL');
          await expect.poll(() => existsSync(`/proc/${caller.pid}`)).toBe(false);
        }
        return found;
      },
    };
    const finder = new OwnerFinder(sockets);
    finder.follow([web({ user: 'daemon', command: PYTHON })]);
    expect(await serviceOf(finder, await caller.call('connect', 'a', at))).toBe('web');
    const client = await caller.call('connect', 'b', at);
    ends = true;
    expect(await serviceOf(finder, client)).toBeUndefined();
    ends = false;
    expect(await serviceOf(finder, client)).toBeUndefined();
  });
});

describe.runIf(IS_ROOT && existsSync(PERL) && GROUPS !== undefined)('two units', () => {
  it('are told apart, by connections and by datagrams', async () => {
    const names = ['apart-one', 'apart-two'];
    const callers = names.map((name) => {
      const caller = program(...asUser(DAEMON));
      unit(name).enter(caller.pid);
      return caller;
    });
    const finder = finderOf(
      ...names.map((name) => ({ service: name, match: { unit: `weft-test-${process.pid}-${name}` }, targets: [] })),
    );
    for (const [index, caller] of callers.entries()) {
      expect(await serviceOf(finder, await caller.call('connect', 'a', at))).toBe(names[index]);
      expect(await serviceOf(finder, await caller.call('udp', 'b', udpAt), 'udp')).toBe(names[index]);
    }
  });
});

describe.runIf(IS_ROOT && existsSync(PERL))('a program that process 1 listens for', () => {
  it('is the service, whoever it is', async () => {
    const module = new URL('./finder.ts', import.meta.url).href;
    const diagnosis = new URL('./diagnosis.ts', import.meta.url).href;
    const manager = `
import os, socket, subprocess, sys
listener = socket.create_server(('127.0.0.1', 0)); port = listener.getsockname()[1]
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    os.setuid(1)
    s = socket.create_connection(('127.0.0.1', port)); os.write(w, (str(s.getsockname()[1]) + ' ').encode()); os.read(0, 1)
if os.fork() == 0:
    os.setuid(1); listener.close()
    s = socket.create_connection(('127.0.0.1', port)); os.write(w, (str(s.getsockname()[1]) + ' ').encode()); os.read(0, 1)
said = ''
while said.count(' ') < 2: said += os.read(r, 100).decode()
print(subprocess.run([sys.argv[1], '--input-type=module', '-e', sys.argv[2], str(port), *said.split()], stdout=subprocess.PIPE, text=True).stdout, flush=True)
os._exit(0)
`;
    const code = `const { OwnerFinder } = await import(${JSON.stringify(module)}); const { Diagnosis } = await import(${JSON.stringify(diagnosis)});
      const [port, ...clients] = process.argv.slice(1).map(Number); const at = { host: '127.0.0.1', port };
      const finder = new OwnerFinder(new Diagnosis()); finder.follow([{ service: 'web', targets: [{ ...at, protocol: 'tcp' }] }]);
      for (const client of clients) { const [owner] = await finder.find([{ protocol: 'tcp', client: { host: '127.0.0.1', port: client }, called: at }]); console.log(client, owner.service ?? 'none'); }
      process.exit();`;
    const argv = [
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      '/usr/bin/python3',
      '-c',
      manager,
      process.execPath,
      code,
    ];
    const child = promisify(execFile)('/usr/bin/unshare', argv);
    const { stdout } = await child;
    // The one that kept the listener, and the one that gave it up, in whichever order they called.
    expect(
      stdout
        .match(/\d+ (web|none)/g)
        ?.map((line) => line.split(' ')[1])
        .sort(),
    ).toEqual(['none', 'web']);
  });
});
