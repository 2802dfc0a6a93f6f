/** Where a service's program is expected on this host, and the port to call it from. */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { isOwnAddress, isPortless, type Protocol } from '@weft/proto';
import { type ConnectOptions, connectSocket } from '../bytes/socket.ts';
import type { AgentService, AgentTarget } from '../config/agent-file.ts';
import type { Conduit } from '../words/conduit.ts';

export interface TargetAddress {
  /** IP address. */
  readonly host: string;
  readonly port: number;
}

/** In the order to try: what the agent file says for the port, else 127.0.0.1, then ::1. */
export function targetsOf(service: AgentService, port: number, protocol: Protocol): readonly TargetAddress[] {
  const { host, targetPort } = written(service, port, protocol) ?? { host: 'localhost', targetPort: port };
  const hosts = host === 'localhost' || isWildcard(host) ? ['127.0.0.1', '::1'] : [host];
  return hosts.map((address) => ({ host: address, port: targetPort }));
}

/** Where the agent file says that the program listens: on one address, on every one (0.0.0.0 or ::), or it does not say. */
export function writtenListening(
  service: AgentService,
  port: number,
  protocol: Protocol,
): 'specific' | 'wildcard' | undefined {
  const host = written(service, port, protocol)?.host;
  if (host === undefined || host === 'localhost') return undefined;
  return isWildcard(host) ? 'wildcard' : 'specific';
}

function written(service: AgentService, port: number, protocol: Protocol): AgentTarget | undefined {
  const of = (transport: Protocol | 'any') =>
    service.targets.find((target) => target.port === port && target.protocol === transport);
  return of(protocol) ?? of('any');
}

/** Every address of a family. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

export function isLoopback(host: string): boolean {
  return host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/**
 * Whether a connection to this host can be made from a caller's address: the kernel routes such a source, within the host,
 * to this machine's own IPv4 addresses only.
 */
export function takesCallerAddress(host: string): boolean {
  return isIPv4(host) && (isLoopback(host) || isOwnAddress(host));
}

/** Ports tried one after the other. */
const TRIES = 4;

/**
 * Ports to call programs from. The kernel's own search for a free port of a given address walks those that are in use one
 * by one: with some thousand connections from one caller that is a millisecond each. Taken in turn the next is nearly
 * always free.
 */
export class SourcePorts {
  readonly #ports: Uint16Array;
  #next: number;

  /** `ports`: none leaves the choice to the system. `begin`: at which of them to begin. */
  constructor(ports: Uint16Array, begin: number = randomInt(ports.length || 1)) {
    this.#ports = ports;
    this.#next = begin;
  }

  /** Connects from one of the ports; when a few in a row are taken, the system searches all of them. */
  async connect(options: ConnectOptions): Promise<Conduit> {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const localPort = this.#ports[this.#next];
      if (localPort === undefined) break;
      this.#next = (this.#next + 1) % this.#ports.length;
      try {
        return (await connectSocket({ ...options, localPort })).conduit;
      } catch (cause) {
        if (!isPortless(cause)) throw cause;
      }
    }
    return (await connectSocket(options)).conduit;
  }
}

export interface PortRange {
  readonly first: number;
  readonly count: number;
}

/** What the kernel itself chooses from for who asks for no port (ip-sysctl: ip_local_port_range). Undefined where it does not tell. */
export function systemRange(): PortRange | undefined {
  try {
    const [first = 0, last = 0] = setting('ip_local_port_range').trim().split(/\s+/).map(Number);
    return first > 0 && last >= first ? { first, count: last - first + 1 } : undefined;
  } catch {
    return undefined;
  }
}

/** Of those the ones to bind. None where the kernel does not tell. */
export function systemPorts(): Uint16Array {
  const range = systemRange();
  try {
    return range === undefined ? new Uint16Array() : portsToBind(range, setting('ip_local_reserved_ports'));
  } catch {
    return new Uint16Array();
  }
}

function setting(name: string): string {
  return readFileSync(`/proc/sys/net/ipv4/${name}`, 'utf8');
}

/**
 * The second of each two ports, without what is kept for others (ip-sysctl: ip_local_reserved_ports). A port that was
 * bound, and not chosen by connect(2) itself, is given to no other program's connect, at any address, until a minute after its connection
 * was closed: 500 calls a second would take all that a host has. Where bind chooses it takes these first, and connect takes them last.
 */
export function portsToBind({ first, count }: PortRange, reserved: string): Uint16Array {
  const kept = reserved.split(',').map((part) => part.trim().split('-').map(Number));
  const isKept = (port: number) => kept.some(([low = 0, high = low]) => port >= low && port <= high);
  const ports: number[] = [];
  for (let port = first + 1; port < first + count; port += 2) if (!isKept(port)) ports.push(port);
  return Uint16Array.from(ports);
}
