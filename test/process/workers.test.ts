/** Agents of three threads each, as real programs on one machine: one agent to everybody, however many threads carry it. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join as path } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../examples/demo/ports.ts';
import { createLocalLab, type Host, type Lab } from '../harness/host.ts';
import { freeRange } from '../harness/range.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

const MESH = (port: number, rules = ''): string => `
network: prod
services:
  echo: { kind: private, ports: [${port}, ${port}/udp] }
  web:  { kind: web, ports: [3000], public: { port: 3000, hosts: [shop.example.com] } }
${rules}
`;
const SHUT = 'policies: [{ name: shut, action: deny, from: [web], to: [echo] }]';
const MANY = 60;
const FAULTS = new URL('../fixtures/faults.ts', import.meta.url);

interface Status {
  readonly state: string;
  readonly listeners: { readonly ports: number };
  readonly tunnel: { readonly open: number; readonly bytes_sent: number };
  readonly flows: { readonly open: number; readonly recorded: number; readonly dropped: number };
  readonly names: readonly { readonly name: string; readonly address: string; readonly healthy: number }[];
  readonly problems: readonly { readonly code: string; readonly subject: string }[];
  readonly workers: readonly {
    readonly flows: { readonly open: number; readonly recorded: number };
    readonly tunnel: { readonly open: number };
  }[];
}

interface Member {
  readonly host: Host;
  readonly agent: Agent;
  readonly shared: { readonly tunnel: number; readonly dns: number; readonly range: string };
}

describe('agents with --workers 3', () => {
  const cleanup = new AsyncDisposableStack();
  let lab: Lab;
  let control: Control;
  let port: number;
  let front: Member;
  let data: Member;
  let vip: string;

  beforeAll(async () => {
    lab = cleanup.use(createLocalLab());
    const server = net.createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.pipe(socket);
    });
    cleanup.defer(() => void server.close());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const target = (server.address() as net.AddressInfo).port;
    const answerer = dgram.createSocket('udp4', (payload, from) => answerer.send(payload, from.port, from.address));
    cleanup.defer(() => void answerer.close());
    answerer.bind(target, '127.0.0.1');
    await once(answerer, 'listening');
    // The service's port is not its target's port: all agents share this machine, and the target holds its own.
    port = await freePort();
    control = await Control.start(await lab.host('main'), { control: await freePort(), dashboard: await freePort() });
    await control.apply(MESH(port));
    const targets = `${port}: "127.0.0.1:${target}", ${port}/udp: "127.0.0.1:${target}"`;
    data = await join('data', ['--services', 'echo'], `services: { echo: { targets: { ${targets} } } }`);
    front = await join('front', ['--services', 'web'], 'services: { web: {} }', '30s');
    const { names } = await until(
      'the instance is healthy',
      () => status(front),
      (told) => told.names.some(({ name, healthy }) => name === 'echo.internal' && healthy === 1),
      SETTLED_MS,
    );
    vip = names.find(({ name }) => name === 'echo.internal')?.address ?? '';
  });
  afterAll(() => cleanup.disposeAsync());

  async function join(name: string, scope: string[], config: string, drain = '0'): Promise<Member> {
    const host = await lab.host(name);
    const token = await control.ok('token', 'create', '--network', 'prod', '--host', name, ...scope);
    const shared = { tunnel: await freePort(), dns: await freePort(), range: freeRange() };
    const env = { NODE_OPTIONS: `--import=${FAULTS}`, WEFT_TEST_FAULTS: host.dir };
    const agent = await Agent.start(host, { token, config, shared, env, args: ['--workers', '3', '--drain', drain] });
    return { host, agent, shared };
  }

  /** No program of web is there. */
  function otherProblems({ problems }: Status): Status['problems'] {
    return problems.filter(({ code }) => code !== 'target-not-listening');
  }

  async function status({ agent }: Member): Promise<Status> {
    return await agent.status<Status>();
  }

  /** A connection that has said something and heard it back. */
  async function connect(): Promise<net.Socket> {
    const socket = net.connect(port, vip);
    // How it ends is asked by whoever waits for its end.
    socket.on('error', () => {});
    socket.write('hello');
    const heard = await Promise.race([once(socket, 'data'), once(socket, 'close')]);
    expect(String(heard[0])).toBe('hello');
    return socket;
  }

  const connectMany = (): Promise<net.Socket[]> => Promise.all(Array.from({ length: MANY }, connect));
  const closed = (sockets: readonly net.Socket[]): number => sockets.filter((socket) => socket.destroyed).length;
  const busy = ({ workers }: Status): number => workers.filter(({ flows }) => flows.open > 0).length;

  async function end(sockets: readonly net.Socket[]): Promise<void> {
    for (const socket of sockets) socket.end();
    await until('all have ended', () => closed(sockets) === MANY);
  }

  /** Ids of the echo flows that control has records of. */
  async function recorded(): Promise<string[]> {
    const lines = await control.ok('flows', '--json', '--limit', '10000');
    return lines
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { id: string; service: string })
      .filter(({ service }) => service === 'echo')
      .map(({ id }) => id);
  }

  /** Does something that ends flows, and waits for a record of each. */
  async function records(count: number, work: () => Promise<unknown>): Promise<void> {
    const before = (await recorded()).length;
    await work();
    const ids = await until(`${count} records`, recorded, (found) => found.length >= before + count);
    expect(ids).toHaveLength(before + count);
    expect(new Set(ids).size).toBe(ids.length);
  }

  test('connections spread over threads, and are one agent’s in its numbers and records', async () => {
    await records(MANY, async () => {
      const sockets = await connectMany();
      for (const member of [front, data]) {
        const told = await until(
          'all flows in the numbers',
          () => status(member),
          ({ flows }) => flows.open === MANY,
        );
        expect(told.workers).toHaveLength(3);
        expect(told.workers.reduce((sum, { flows }) => sum + flows.open, 0)).toBe(MANY);
        expect(told.tunnel.open).toBe(told.workers.reduce((sum, { tunnel }) => sum + tunnel.open, 0));
        expect(otherProblems(told)).toEqual([]);
      }
      expect(busy(await status(front))).toBeGreaterThan(1);
      await end(sockets);
    });
  });

  test('datagrams come back, whichever thread gets the packets', async () => {
    const sockets = Array.from({ length: 30 }, () => dgram.createSocket('udp4'));
    const heard = sockets.map(() => 0);
    for (const [index, socket] of sockets.entries())
      socket.on('message', () => (heard[index] = (heard[index] ?? 0) + 1));
    // Until the probes are answered they go inside the tunnels; so for long enough to go in packets of their own.
    await until(
      'answers to each',
      () => {
        for (const socket of sockets) socket.send('hello', port, vip);
        return heard;
      },
      (counts) => counts.every((count) => count >= 50),
    );
    const { workers, flows } = await status(front);
    expect(flows.open).toBe(30);
    expect(workers.filter((worker) => worker.flows.open > 0).length).toBeGreaterThan(1);
    for (const socket of sockets) socket.close();
  });

  test('a rule cuts the flows of all threads, within a second of apply --wait', async () => {
    const sockets = await connectMany();
    expect(busy(await status(front))).toBeGreaterThan(1);
    await control.apply(MESH(port, SHUT), '--wait');
    await until('every connection is cut', () => closed(sockets) === MANY, Boolean, 1_000);
    // Reset, and by whichever thread; refused is what a place would do that no thread listens on.
    const calls = await Promise.allSettled(Array.from({ length: 30 }, connect));
    expect(calls.map((call) => call.status === 'rejected' && call.reason.code)).toEqual(calls.map(() => 'ECONNRESET'));
    const denied = await until(
      'the records',
      async () => (await control.ok('flows', '--json', '--limit', '10000')).split('\n'),
      (lines) => lines.filter((line) => line.includes('"cut"') && line.includes('"shut"')).length >= MANY,
    );
    expect(denied.filter((line) => line.includes('"cut"') && line.includes('"tcp"'))).toHaveLength(MANY);
    await control.apply(MESH(port), '--wait');
    (await connect()).destroy();
  });

  const endings = (sockets: readonly net.Socket[]) =>
    Promise.all(
      sockets.map(
        (socket) =>
          new Promise((resolve) => {
            socket.once('end', () => resolve('as if all had been said'));
            socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
          }),
      ),
    );

  /** From now on it may open none, as where all are taken that it may have. */
  const takeFiles = ({ host, agent }: Member) =>
    host.check(['prlimit', '--pid', `${agent.process.pid}`, '--nofile=3:']);
  const giveFiles = ({ host, agent }: Member) =>
    host.check(['prlimit', '--pid', `${agent.process.pid}`, '--nofile=1024:']);

  const flowsAgain = () =>
    until('flows again', async () => {
      (await connect()).destroy();
      return true;
    });

  test('agents without a file left cut what a rule takes away, with its records', async () => {
    const sockets = await connectMany();
    expect(busy(await status(front))).toBeGreaterThan(1);
    const ended = endings(sockets);
    await records(MANY, async () => {
      for (const member of [front, data]) await takeFiles(member);
      await control.apply(MESH(port, SHUT));
      expect(await ended).toEqual(sockets.map(() => 'ECONNRESET'));
    });
    for (const member of [front, data]) await giveFiles(member);
    await control.apply(MESH(port), '--wait');
    await flowsAgain();
  });

  test.each([
    ['a second signal', 143, undefined],
    ['a second signal, also where a thread hangs in a system call', 143, 'hang-1'],
    ['a second signal, also where one hangs and no file is left', 143, 'hang-2', 'no file is left'],
    ['an error in a thread that nobody expected', 1, 'fail-2'],
  ])('%s resets what is open, whichever thread carries it', async (_why, code, fault, spent?: string) => {
    const sockets = await connectMany();
    expect(busy(await status(front))).toBe(3);
    const ended = endings(sockets);
    const { process } = front.agent;
    const file = path(front.host.dir, fault ?? '');
    if (fault !== undefined) writeFileSync(file, '');
    if (fault?.startsWith('hang') === true) await process.output(/it hangs/);
    if (spent !== undefined) await takeFiles(front);
    if (fault !== 'fail-2') {
      process.signal('SIGTERM');
      await process.output(/"event":"stopping"/);
      process.signal('SIGTERM');
    }
    expect((await process.finished()).code).toBe(code);
    expect(await ended).toEqual(sockets.map(() => 'ECONNRESET'));
    if (fault !== undefined) rmSync(file);
    await front.agent.restart();
    await flowsAgain();
  });

  test('an agent that was killed comes back on the ports that its threads shared', async () => {
    for (const member of [data, front]) {
      await member.agent.process.kill();
      await member.agent.restart();
    }
    await until('flows again', async () => {
      const sockets = await connectMany();
      await end(sockets);
      return true;
    });
    expect(otherProblems(await status(front))).toEqual([]);
  });

  test('a second agent hears that the ports are taken, and shares none of them', async () => {
    const token = await control.ok('token', 'create', '--network', 'prod', '--host', 'second');
    const start = (tunnel: number, dns: number, name: string) =>
      lab
        .host(name)
        .then((host) =>
          host.start(
            ['weft', 'up', '--data', `${host.dir}/agent`, '--workers', '3', '--tunnel', `127.0.0.1:${tunnel}`].concat([
              '--dns',
              `127.0.0.1:${dns}`,
              '--vip-range',
              front.shared.range,
            ]),
            { env: { WEFT_JOIN: token } },
          ),
        );
    const refused = await (await start(front.shared.tunnel, await freePort(), 'second')).finished();
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /cannot listen for other agents at .*the port is taken by \S+ \(process \d+ of user \S+\); choose another/,
    );
    // Its places are front's: each is told once, whatever the number of threads.
    const second = await lab.host('third');
    const again = await control.ok('token', 'create', '--network', 'prod', '--host', 'third');
    const shared = { ...front.shared, tunnel: await freePort(), dns: await freePort() };
    const agent = await Agent.start(second, { token: again, config: 'services: {}', shared, args: ['--workers', '3'] });
    const told = await status({ host: second, agent, shared });
    expect(told.problems.filter(({ subject }) => subject === `echo:${port}/tcp`)).toMatchObject([
      { code: 'port-taken' },
    ]);
    // The service's address and the instance's: of echo for TCP and UDP each, and of web, which front holds though its program is silent.
    expect(told.problems.filter(({ code }) => code === 'port-taken')).toHaveLength(6);
    expect(told.listeners.ports).toBe(0);
    await agent.process.kill();
  });

  test.each(['', ', also where no file is left'])(
    'an ordinary stop resets what is open and hands over the records of all threads%s',
    async (spent) => {
      await records(MANY, async () => {
        const sockets = await connectMany();
        const ended = endings(sockets);
        await until(
          'all flows in the numbers',
          () => status(data),
          ({ flows }) => flows.open === MANY,
        );
        if (spent !== '') await takeFiles(data);
        data.agent.process.signal('SIGTERM');
        expect((await data.agent.process.finished()).code).toBe(0);
        expect(await ended).toEqual(sockets.map(() => 'ECONNRESET'));
      });
      await data.agent.restart();
      await flowsAgain();
    },
  );

  test('a revocation cuts the flows of all threads', async () => {
    const sockets = await connectMany();
    expect(busy(await status(front))).toBeGreaterThan(1);
    await control.ok('revoke', 'front');
    await until('every connection is cut', () => closed(sockets) === MANY, Boolean, 2_000);
    const told = await until(
      'nothing is left',
      () => status(front),
      ({ flows, tunnel, state }) => state === 'revoked' && flows.open === 0 && tunnel.open === 0,
    );
    expect(told.names).toEqual([]);
  });
});
