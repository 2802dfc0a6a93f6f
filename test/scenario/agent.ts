/** A running agent of a scenario, and what its host's programs do with it. */
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { CONTROL_RANGE, defined, formatHostPort, type HostPort, type JoinToken, parseRange } from '@weft/proto';
import type { Tracer } from '@weft/proto/observe';
import type { Logger } from 'pino';
import { readAgentFile } from '../../packages/agent/src/config/agent-file.ts';
import type { AgentStatus } from '../../packages/agent/src/observe/agent-status.ts';
import { readLocalStatus } from '../../packages/agent/src/observe/status-client.ts';
import { type AgentOptions, type DataPathLimits, runAgent } from '../../packages/agent/src/run/agent.ts';
import type { ProcessMatch } from '../../packages/agent/src/words/owner.ts';
import type { Relay } from '../harness/relay.ts';
import { until } from '../harness/until.ts';

export interface AgentSpec {
  /** By service, declared ports to the ports that programs listen on: `{ redis: { 6379: 41234 } }`. */
  readonly services?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** By service, how its processes are known. */
  readonly match?: Readonly<Record<string, ProcessMatch>>;
  readonly gateway?: HostPort;
  /** Where its host stands. */
  readonly zone?: string;
  readonly limits?: DataPathLimits;
  readonly workers?: number;
  /** How long a stop lets open flows finish. */
  readonly drainMs?: number;
  /** From one telemetry to the next, milliseconds. */
  readonly telemetryMs?: number;
  readonly tracer?: Tracer;
  /** Where its metrics are served. */
  readonly metrics?: HostPort;
}

interface AgentParts {
  readonly host: string;
  readonly spec: AgentSpec;
  readonly directory: string;
  readonly tunnel: HostPort;
  readonly range: string;
  readonly relay: Relay | undefined;
  readonly controlRelay: Relay | undefined;
  readonly logger: Logger;
}

export class Agent {
  readonly host: string;
  readonly #parts: AgentParts;
  #stop = new AbortController();
  #run: Promise<void> = Promise.resolve();
  #vanished: boolean = false;

  constructor(parts: AgentParts) {
    this.host = parts.host;
    this.#parts = parts;
  }

  /** Where it keeps its state: its own commands find it there. */
  get directory(): string {
    return this.#parts.directory;
  }

  /** The agent file's path. */
  get file(): string {
    return `${this.#parts.directory}.yaml`;
  }

  /** Of the agent file; read at a reload. */
  write(text: string): void {
    writeFileSync(this.file, text);
  }

  /** Before its tunnel port. */
  get relay(): Relay {
    return present(this.#parts.relay, `${this.host} has no relay`);
  }

  get controlRelay(): Relay {
    return present(this.#parts.controlRelay, `${this.host} has no relay to control`);
  }

  /** Resolves when names are served and ports are open. */
  async start(token?: JoinToken): Promise<void> {
    const { host, spec, directory, tunnel, range, relay, logger } = this.#parts;
    const services = Object.entries(spec.services ?? {}).map(([name, ports]) => {
      const targets = Object.entries(ports).map(([port, target]) => [port, `127.0.0.1:${target}`]);
      return [name, { targets: Object.fromEntries(targets), ...defined({ match: spec.match?.[name] }) }];
    });
    const gateway = spec.gateway && { gateway: { http: formatHostPort(spec.gateway.host, spec.gateway.port) } };
    this.write(JSON.stringify({ services: Object.fromEntries(services), ...gateway, zone: spec.zone }));
    const name = this.file;
    this.#stop = new AbortController();
    const ready = Promise.withResolvers<void>();
    const options: AgentOptions = {
      directory,
      token,
      file: await readAgentFile(name),
      fileSource: { name, read: () => readAgentFile(name) },
      tunnel,
      advertise: relay?.endpoint ?? formatHostPort(tunnel.host, tunnel.port),
      dns: { host: '127.0.0.1', port: 0 },
      range: parseRange(range) ?? CONTROL_RANGE,
      fallbackHost: host,
      logger,
      ready: () => ready.resolve(),
      ...defined({ limits: spec.limits, workers: spec.workers, drainMs: spec.drainMs }),
      ...(spec.telemetryMs === undefined ? {} : { telemetry: { everyMs: spec.telemetryMs } }),
      ...defined({ tracer: spec.tracer, metrics: spec.metrics }),
    };
    this.#run = runAgent(options, this.#stop.signal);
    await Promise.race([ready.promise, this.#run]);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#run;
  }

  /** As if the host had lost its network: nothing reaches it any more, from peers or from control. */
  vanish(): void {
    if (this.#vanished) return;
    this.#vanished = true;
    for (const relay of [this.#parts.relay, this.#parts.controlRelay]) relay?.close();
  }

  async status(): Promise<AgentStatus> {
    return present(await readLocalStatus(this.#parts.directory), `${this.host} does not run`);
  }

  /** The service's VIP on this host, once this many of its instances are well as far as this agent knows. */
  async vip(service: string, healthy = 1): Promise<string> {
    const { names } = await until(
      `${healthy} healthy instances of ${service} at ${this.host}`,
      () => this.status(),
      (status) => status.names.find(({ name }) => name === `${service}.internal`)?.healthy === healthy,
    );
    return present(names.find(({ name }) => name === `${service}.internal`)?.address, `${service} has no address`);
  }

  /** Connects a program of this host to the service. */
  async connect(service: string, port: number, healthy = 1): Promise<net.Socket> {
    return connect(await this.vip(service, healthy), port);
  }

  /** Resolves when no flow is left here. */
  async idle(): Promise<void> {
    await until(
      `${this.host} without flows`,
      () => this.status(),
      (status) => status.flows.open === 0,
    );
  }
}

/**
 * A socket, connected and not read yet. Its errors show in how it closes; one that was accepted and reset before this
 * process came to see that it was accepted is closed already.
 */
export async function connect(host: string, port: number): Promise<net.Socket> {
  const socket = net.connect({ host, port, allowHalfOpen: true, noDelay: true });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve());
    socket.once('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' ? resolve() : reject(error)));
  });
  socket.on('error', () => {});
  return socket;
}

function present<Value>(value: Value | undefined | null, otherwise: string): Value {
  if (value === undefined || value === null) throw new Error(otherwise);
  return value;
}
