/** Where all peers run: a client host and a server host, the servers, and one way to each. */

import net from 'node:net';
import { messageOf } from '@weft/proto';
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
import { type Endpoint, type Path, processesOf } from './path.ts';
import { installed } from './programs.ts';
import { SERVERS, type ServerName, servers } from './servers.ts';

/** The ports that the servers listen on, the same at each of their addresses. */
export type ServerPorts = Readonly<Record<ServerName, number>>;

/** Addresses that peers with a TUN device give to the server host: servers listen there before they are there. */
export const TUN_ADDRESSES = { nebula: '10.214.7.1', wireguard: '10.215.7.1' } as const;

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
  readonly #programs: ReadonlyMap<string, string>;
  readonly #freePort: () => Promise<number>;
  /** Servers that would leave something behind if they were killed. */
  readonly #orderly: Process[];
  readonly #served = new Map<string, Promise<void>>();
  /** Calls have to pass, whatever is measured. */
  readonly #needed = new Set<ServerName>(['answer']);
  #atAll: Promise<void> | undefined;
  readonly #failed = new Map<ServerName, string>();

  private constructor(
    hosts: readonly [Host, Host, Host],
    ports: ServerPorts,
    freePort: () => Promise<number>,
    programs: ReadonlyMap<string, string>,
    orderly: Process[],
    how: NamespaceLab | string,
  ) {
    [this.main, this.server, this.client] = hosts;
    this.ports = ports;
    this.#freePort = freePort;
    this.#programs = programs;
    this.#orderly = orderly;
    this.made = typeof how === 'string' ? undefined : how;
    this.loopback = typeof how === 'string' ? how : undefined;
  }

  /** Begun is told of the lab at once, so that it can be ended while hosts are still being made. */
  static async create(
    wantLoopback: boolean,
    programs: ReadonlyMap<string, string>,
    begun: (ending: AsyncDisposable) => void,
  ): Promise<Stage> {
    const missing = wantLoopback ? 'the loopback stage was asked for' : await hostsMissing();
    const how = missing ?? (await createNamespaceLab());
    const lab = typeof how === 'string' ? createLocalLab() : how;
    const orderly: Process[] = [];
    begun({ [Symbol.asyncDispose]: () => end(orderly, lab) });
    const hosts = [await lab.host('main'), await lab.host('server'), await lab.host('client')] as const;
    const freePort = portsFrom(FIRST_PORT + 40 * (process.pid % 200));
    const ports: Partial<Record<ServerName, number>> = {};
    for (const name of SERVERS) ports[name] = await freePort();
    const stage = new Stage(hosts, ports as ServerPorts, freePort, programs, orderly, how);
    await stage.#settings();
    return stage;
  }

  /** A port that no one listens on. */
  port(): Promise<number> {
    return this.#freePort();
  }

  installed(program: string): boolean {
    return this.#programs.has(program) || installed(program);
  }

  /** What to start it by. */
  program(name: string): string {
    return this.#programs.get(name) ?? name;
  }

  /** The servers that are needed and can be started here. */
  get servers(): readonly ServerName[] {
    return SERVERS.filter(
      (name) => this.#needed.has(name) && this.lacks(name) === undefined && !this.#failed.has(name),
    );
  }

  /** A program that the server takes and is not here, if any. */
  lacks(server: ServerName): string | undefined {
    return servers[server].programs.find((program) => !this.installed(program));
  }

  /** Says which servers are to be started, before the first peer is. */
  need(names: readonly ServerName[]): void {
    for (const name of names) this.#needed.add(name);
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
    this.#atAll ??= this.#startAtAll();
    const each = this.servers.filter((name) => !servers[name].once);
    await Promise.all([
      this.#atAll,
      ...each.map((name) => servers[name].start(this.server, this.ports[name], [address], this.#orderly)),
    ]);
  }

  async #startAtAll(): Promise<void> {
    const made = this.made === undefined ? [] : [this.server.address, ...Object.values(TUN_ADDRESSES)];
    const addresses = ['127.0.0.1', ...made];
    // One after the other: each takes a core while it starts.
    for (const name of this.servers.filter((each) => servers[each].once)) {
      try {
        await servers[name].start(this.server, this.ports[name], addresses, this.#orderly);
      } catch (error) {
        this.#failed.set(name, messageOf(error));
      }
    }
  }

  /** Why the server does not run, where it was to. Its works are not measured then, and the others are. */
  get failed(): ReadonlyMap<ServerName, string> {
    return this.#failed;
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

  /** The same for every peer. */
  async #settings(): Promise<void> {
    if (this.made === undefined) return;
    const set = (host: Host, setting: string) => this.made?.startAsRoot(host, ['sysctl', '-qw', setting]).finished();
    // Thousands of closed connections to one port: as on loopback, their ports may be used again.
    for (const host of [this.client, this.server]) await set(host, 'net.ipv4.tcp_tw_reuse=1');
    await set(this.server, 'net.ipv4.ip_nonlocal_bind=1');
  }
}

/** A peer's program that ended is the cause of whatever failed after it. */
export function checkRunning(path: Path): void {
  for (const one of processesOf(path)) {
    if (!one.running) throw new Error(`ended: ${one.name}\n${one.stdout.slice(-300)}${one.stderr.slice(-300)}`);
  }
}

export interface Calls {
  readonly answered: number;
  readonly seconds: number;
  readonly failures: Readonly<Record<string, number>>;
}

/** Those first that clean up after themselves, then everything. */
async function end(orderly: readonly Process[], lab: Lab): Promise<void> {
  for (const one of orderly) one.signal('SIGINT');
  await Promise.all(orderly.map((one) => one.finished(30_000)));
  await lab[Symbol.asyncDispose]();
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
