/** Where all peers run: a client host and a server host, the servers, and one way to each. */

import { accessSync, constants } from 'node:fs';
import net from 'node:net';
import { delimiter, join } from 'node:path';
import {
  createLocalLab,
  createNamespaceLab,
  type Host,
  hostsMissing,
  type Lab,
  type NamespaceLab,
} from '../harness/host.ts';
import type { Process } from '../harness/process.ts';
import { until } from '../harness/until.ts';
import type { Endpoint, Path } from './path.ts';

/** The ports that the servers listen on, the same at each of their addresses. */
export interface ServerPorts {
  readonly redis: number;
  readonly iperf: number;
  readonly answer: number;
}

/** Below the range that the kernel gives to callers: a port chosen here is not taken meanwhile. */
const FIRST_PORT = 20_000;

export class Stage {
  readonly client: Host;
  readonly server: Host;
  /** Where control runs. */
  readonly main: Host;
  readonly ports: ServerPorts;
  /** Present where hosts are made, and root may do more on them than everyone else. */
  readonly made: NamespaceLab | undefined;
  /** Why hosts could not be made, where they could not. */
  readonly loopback: string | undefined;
  /** What programs leave behind outside of their hosts' folders, removed when they have ended. */
  readonly leftovers = new DisposableStack();
  readonly #freePort: () => Promise<number>;
  readonly #served = new Map<string, Promise<void>>();

  private constructor(
    hosts: readonly [Host, Host, Host],
    ports: ServerPorts,
    freePort: () => Promise<number>,
    how: NamespaceLab | string,
  ) {
    [this.main, this.server, this.client] = hosts;
    this.ports = ports;
    this.#freePort = freePort;
    this.made = typeof how === 'string' ? undefined : how;
    this.loopback = typeof how === 'string' ? how : undefined;
  }

  /** Begun is told of the lab at once, so that it can be ended while hosts are still being made. */
  static async create(wantLoopback: boolean, begun: (lab: Lab) => void): Promise<Stage> {
    const missing = wantLoopback ? 'the loopback stage was asked for' : await hostsMissing();
    const how = missing ?? (await createNamespaceLab());
    const lab = typeof how === 'string' ? createLocalLab() : how;
    begun(lab);
    const hosts = [await lab.host('main'), await lab.host('server'), await lab.host('client')] as const;
    const freePort = portsFrom(FIRST_PORT + 40 * (process.pid % 200));
    const ports = { redis: await freePort(), iperf: await freePort(), answer: await freePort() };
    const stage = new Stage(hosts, ports, freePort, how);
    await stage.#reusePorts();
    return stage;
  }

  /** A port that no one listens on. */
  port(): Promise<number> {
    return this.#freePort();
  }

  installed(program: string): boolean {
    return installed(program);
  }

  /** The servers that can be started here. */
  get servers(): readonly (keyof ServerPorts)[] {
    const programs = { redis: ['redis-server', 'redis-cli'], iperf: ['iperf3'], answer: [] } as const;
    return (['redis', 'iperf', 'answer'] as const).filter((name) => programs[name].every(installed));
  }

  /** Much else runs beside the callers, and as their user. */
  async enlarge(): Promise<void> {
    const others = this.client.start(['perl', 'test/bench/programs/large-host.pl', '10000', '50000']);
    await others.output(/ready/, 120_000);
  }

  /** Starts the servers at one address of the server host, where they do not run yet. */
  serve(address: string): Promise<void> {
    const served = this.#served.get(address) ?? this.#startServers(address);
    this.#served.set(address, served);
    return served;
  }

  async #startServers(address: string): Promise<void> {
    const { redis, iperf, answer } = this.ports;
    const start = (argv: readonly string[]): Process => this.server.start(argv);
    const ready = [start(['node', 'test/bench/programs/answer-server.ts', `${answer}`, address]).output(/ready/)];
    if (this.servers.includes('redis')) {
      ready.push(start(redisServer(redis, address)).output(/Ready to accept connections/));
    }
    if (this.servers.includes('iperf')) {
      ready.push(
        start(['iperf3', '--server', '--port', `${iperf}`, '--bind', address, '--forceflush']).output(/listening/),
      );
    }
    await Promise.all(ready);
    // GET should find something.
    if (this.servers.includes('redis')) {
      await this.server.check(['redis-cli', '-h', address, '-p', `${redis}`, 'set', 'key:__rand_int__', 'VXK']);
    }
  }

  /** Waits until calls pass; a process of the path that ended meanwhile is the better error. */
  async reachable(path: Path): Promise<void> {
    const endpoint = path.tcp(this.ports.answer);
    if (endpoint === undefined) return;
    await until(
      'a first call passes',
      async () => {
        checkRunning(path);
        return (await this.call(endpoint, 1, 1, 1)).answered === 1;
      },
      Boolean,
      10_000,
    );
  }

  async call(endpoint: Endpoint, atOnce: number, calls: number, seconds: number): Promise<Calls> {
    const { host, port } = endpoint;
    const argv = [host, port, atOnce, calls, seconds].map(String);
    const output = await this.client.check(['node', 'test/bench/programs/call-load.ts', ...argv], {
      timeoutMs: (seconds + 15) * 1_000,
    });
    return JSON.parse(output) as Calls;
  }

  /** Thousands of closed connections to one port: as on loopback, their ports may be used again. The same for every peer. */
  async #reusePorts(): Promise<void> {
    if (this.made === undefined) return;
    for (const host of [this.client, this.server]) {
      await this.made.startAsRoot(host, ['sysctl', '-qw', 'net.ipv4.tcp_tw_reuse=1']).finished();
    }
  }
}

/** A peer's program that ended is the cause of whatever failed after it. */
export function checkRunning(path: Path): void {
  for (const one of path.processes) {
    if (!one.running) throw new Error(`ended: ${one.name}\n${one.stdout.slice(-300)}${one.stderr.slice(-300)}`);
  }
}

export interface Calls {
  readonly answered: number;
  readonly seconds: number;
  readonly failures: Readonly<Record<string, number>>;
}

function redisServer(port: number, address: string): readonly string[] {
  const settings = { port, bind: address, save: '', appendonly: 'no', 'protected-mode': 'no' };
  return ['redis-server', ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`])];
}

function installed(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function portsFrom(first: number): () => Promise<number> {
  let next = first;
  return async () => {
    while (!(await listens(next))) next += 1;
    return next++;
  };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
