/** The real programs on one machine, without root: joined, served, denied, revoked, restarted. */
import dns from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../examples/demo/ports.ts';
import { createLocalLab, type Host, type Lab } from '../harness/host.ts';
import type { Finished } from '../harness/process.ts';
import { freeRange } from '../harness/range.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

const MESH = (target: number, rules = ''): string => `
network: prod
services:
  echo:   { kind: private, ports: [${target}] }
  web:    { kind: web, ports: [3000], public: { port: 3000, hosts: [shop.example.com] } }
  mailer: { kind: worker }
${rules}
`;

describe('control and agents as processes', () => {
  const cleanup = new AsyncDisposableStack();
  let lab: Lab;
  let control: Control;
  let port: number;
  let server: net.Server;
  const callers: string[] = [];
  const agents = new Map<string, { agent: Agent; dns: number; host: Host }>();

  beforeAll(async () => {
    lab = cleanup.use(createLocalLab());
    server = net.createServer({ allowHalfOpen: true }, (socket) => {
      callers.push(socket.remoteAddress ?? '');
      socket.on('error', () => socket.destroy());
      socket.pipe(socket);
      // This one ends first, and hears the rest.
      socket.on('data', (piece) => {
        if (piece.toString() === 'bye') setImmediate(() => socket.unpipe(socket).resume().end());
      });
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    // The service's port is not its target's port: all agents share this machine, and the target holds its own.
    port = await freePort();
    control = await Control.start(await lab.host('main'), { control: await freePort(), dashboard: await freePort() });
    await control.apply(MESH(port));
    const target = (server.address() as net.AddressInfo).port;
    await join('data', ['--services', 'echo'], `services: { echo: { targets: { ${port}: "127.0.0.1:${target}" } } }`);
    await join('front', ['--services', 'web'], 'services: { web: {} }');
    await join('back', ['--services', 'mailer'], 'services: { mailer: {} }');
    await until(
      'the instance is healthy',
      async () => await control.ok('explain', 'web', `echo:${port}`, '--json'),
      (answer) => JSON.parse(answer).break_point === 'none',
      SETTLED_MS,
    );
  });
  afterAll(async () => {
    await cleanup.disposeAsync();
    server.close();
  });

  async function join(name: string, scope: string[], config: string): Promise<void> {
    const host = await lab.host(name);
    const token = await control.ok('token', 'create', '--network', 'prod', '--host', name, ...scope);
    const shared = {
      tunnel: await freePort(),
      dns: await freePort(),
      range: freeRange(),
    };
    agents.set(name, { agent: await Agent.start(host, { token, config, shared }), dns: shared.dns, host });
  }

  async function resolver(from: string): Promise<dns.Resolver> {
    const asked = new dns.Resolver({ timeout: 2_000, tries: 2 });
    asked.setServers([`127.0.0.1:${agents.get(from)?.dns}`]);
    return asked;
  }

  /** Says a line to the echo service by its name, as seen from one agent. */
  async function echo(from: string): Promise<string> {
    const [host] = await (await resolver(from)).resolve4('echo.internal');
    return new Promise((resolve, reject) => {
      const socket = net.connect({ host: host ?? '', port });
      socket.setTimeout(6_000, () => socket.destroy(new Error('no answer')));
      socket.on('data', (data) => {
        resolve(data.toString());
        socket.destroy();
      });
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('closed')));
      socket.write('hello');
    });
  }

  test('that no other host can follow a token is told at the start of control, and when one is made', async () => {
    const [line] = await control.process.output(/^.*"event":"token-addresses".*$/m);
    expect(JSON.parse(line)).toMatchObject({
      addresses: [control.listen],
      msg: expect.stringContaining('--advertise'),
    });
    const made = await control.weft('token', 'create', '--network', 'prod');
    expect(made.stderr).toContain(
      `note: the token leads to ${control.listen}, where control's own host alone finds it`,
    );
  });

  test('a service and a worker reach a private service by name, each from an address of its own', async () => {
    callers.length = 0;
    expect(await echo('front')).toBe('hello');
    expect(await echo('back')).toBe('hello');
    expect(new Set(callers).size).toBe(2);
    const names = await Promise.all(callers.map(async (caller) => (await resolver('data')).reverse(caller)));
    expect(names).toEqual([['web.internal'], ['mailer.internal']]);
  });

  /** A command of an agent's host, which asks the agent alone. */
  async function local(script: string, input = ''): Promise<Finished> {
    const front = agents.get('front');
    if (front === undefined) throw new Error('front has not joined');
    const argv = ['sh', '-c', `data=$1 to=$2; ${script}`, 'sh', front.agent.dataDir, `echo:${port}`];
    return front.host.run(argv, { input });
  }

  test('connect carries what goes through it, and tells the end of either half', async () => {
    expect(await local('exec weft connect "$to" --data "$data"', 'hello')).toEqual({
      code: 0,
      stdout: 'hello',
      stderr: '',
    });
    // Stdin stays open until stdout has ended: the echo ends first once it is told to.
    const half = 'done=$data/stdout-ended; { printf bye; while [ ! -e "$done" ]; do sleep 0.05; done; }';
    expect(await local(`${half} | weft connect "$to" --data "$data" | { cat; touch "$done"; }`)).toMatchObject({
      code: 0,
      stdout: 'bye',
    });
    expect((await local('weft env echo --data "$data"')).stdout).toMatch(
      new RegExp(`^ECHO_HOST=127[.0-9]+\nECHO_PORT=${port}\n$`),
    );
  });

  test('a denial is a reset, it is recorded, and taking the rule back opens again', async () => {
    await control.apply(MESH(port, 'policies: [{ name: shut, action: deny, from: [web], to: [echo] }]'), '--wait');
    await expect(echo('front')).rejects.toThrow(/ECONNRESET/);
    expect(await local('exec weft connect "$to" --data "$data"', 'hello')).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(
        /^weft: one of this host's calls to echo:\d+ was denied by shut at revision \d+: web may not call it\n$/,
      ) as string,
    });
    expect(await echo('back')).toBe('hello');
    const denied = await until(
      'the record',
      async () => control.ok('flows', '--denied', '--json'),
      (text) => text.includes('"shut"'),
    );
    expect(JSON.parse(denied.split('\n').at(-1) ?? '')).toMatchObject({
      source: 'web',
      service: 'echo',
      rule: 'shut',
      verdict: 'deny',
    });
    const explained = await control.weft('explain', 'web', `echo:${port}`);
    expect(explained.code).toBe(3);
    expect(explained.stdout).toContain('shut');
    await control.apply(MESH(port), '--wait');
    expect(await echo('front')).toBe('hello');
  });

  test('a wrong mesh file changes nothing and is told by line and column', async () => {
    const file = control.meshFile('network: prod\nservices:\n  echo: { kind: privat, ports: [7000] }\n');
    const applied = await control.weft('apply', '-f', file);
    expect(applied.code).toBe(2);
    expect(applied.stderr).toMatch(/mesh-\d+\.yaml:3:17/);
    expect(applied.stderr).toContain('private');
    const failing = control.meshFile(`${MESH(port)}tests: [{ from: mailer, to: "echo:${port}", expect: deny }]\n`);
    const refused = await control.weft('apply', '-f', failing);
    expect(refused.code).toBe(2);
    expect(await echo('back')).toBe('hello');
  });

  test('a token is good for one join only, for what it names only, and only while it lasts', async () => {
    const attempt = async (token: string, config: string): Promise<string> => {
      const host = await lab.host(`late-${Math.random().toString(36).slice(2, 8)}`);
      const agent = Agent.start(host, {
        token,
        config,
        shared: { tunnel: await freePort(), dns: await freePort(), range: freeRange() },
      });
      return agent.then(
        async (joined) => joined.process.stop().then(() => 'joined'),
        (error: unknown) => String(error),
      );
    };
    const single = await control.ok('token', 'create', '--network', 'prod', '--services', 'web');
    expect(await attempt(single, 'services: { web: {} }')).toBe('joined');
    expect(await attempt(single, 'services: { web: {} }')).toMatch(/exit 1[\s\S]*used/);
    const narrow = await control.ok('token', 'create', '--network', 'prod', '--services', 'web');
    expect(await attempt(narrow, 'services: { echo: {} }')).toMatch(/exit 1[\s\S]*echo/);
    const short = await control.ok('token', 'create', '--network', 'prod', '--ttl', '1s');
    await new Promise((passed) => setTimeout(passed, 1_100));
    expect(await attempt(short, 'services: {}')).toMatch(/exit 1[\s\S]*expired/);
  });

  test('agents go on and restart while control is down', async () => {
    await control.process.kill();
    const front = agents.get('front');
    await front?.agent.process.kill();
    await front?.agent.restart();
    expect(await until('names and flows', () => echo('front'), Boolean, SETTLED_MS)).toBe('hello');
    const status = await front?.agent.status();
    expect(Date.parse(status?.stale_since ?? '')).toBeGreaterThan(Date.now() - 60_000);
    await control.restart();
    await until(
      'fresh again',
      async () => JSON.parse(await control.ok('agents', '--json')),
      ({ agents }: { agents: { connected: boolean }[] }) => agents.filter((one) => one.connected).length >= 3,
      SETTLED_MS,
    );
  });

  test('wrong usage exits 2, and help shows an example', async () => {
    for (const args of [
      ['apply'],
      ['explain', 'web'],
      ['nonsense'],
      ['token', 'create', '--ttl', 'soon'],
      ['explain', 'web', 'echo'],
    ]) {
      const answer = await control.weft(...args);
      expect({ args, code: answer.code }).toEqual({ args, code: 2 });
      expect(answer.stderr).not.toBe('');
    }
    for (const command of [
      'apply',
      'up',
      'status',
      'services',
      'agents',
      'flows',
      'explain',
      'revoke',
      'token create',
    ]) {
      expect(await control.ok(...command.split(' '), '--help')).toMatch(/Example/);
    }
  });

  // Nothing else is to be had where a Node brings no node:ffi.
  test.runIf(process.getBuiltinModule('node:ffi') !== undefined)(
    'programs that rest give back what their start took, control as agents',
    async () => {
      const programs = { control: control.process.pid, agent: agents.get('data')?.agent.process.pid ?? 0 };
      for (const [name, pid] of Object.entries(programs)) {
        const filePages = () => /^RssFile:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
        // Of a start they have 50 to 60 MiB, of which 15 to 30 come back as they go on.
        await until(`${name} lets go of files`, filePages, (kib) => Number(kib) < 42 * 1024, SETTLED_MS);
      }
    },
  );

  test('beside bulk the programs as they are installed take what is new by a second thread', async () => {
    const [host] = await (await resolver('front')).resolve4('echo.internal');
    const bulk = net.connect({ host: host ?? '', port }).on('error', () => {});
    const pour = setInterval(() => {
      if (bulk.writableLength < 2 ** 21) bulk.write(Buffer.alloc(2 ** 20));
    }, 50);
    // What comes back is dropped.
    bulk.resume();
    try {
      const state = async (name: string) => {
        const joined = agents.get(name);
        if (joined === undefined) throw new Error(`${name} has not joined`);
        const told = await joined.host.run(['weft', 'status', '--json', '--data', joined.agent.dataDir]);
        return (JSON.parse(told.stdout) as { readonly agent: { readonly second?: object } }).agent.second;
      };
      for (const name of ['front', 'data'])
        await until(
          `the second thread of ${name}`,
          () => state(name),
          (second) => JSON.stringify(second) === '{"state":"on","cause":""}',
          SETTLED_MS,
        );
      expect(await echo('front')).toBe('hello');
    } finally {
      clearInterval(pour);
      bulk.destroy();
    }
  });
});
