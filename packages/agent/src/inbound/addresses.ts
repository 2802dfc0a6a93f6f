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
  return isIPv4(host) && (host.startsWith('127.') || isOwnAddress(host));
}

export interface PortRange {
  readonly first: number;
  readonly count: number;
}
/** Ports tried one after the other. */
const TRIES = 4;

/**
 * Ports to call programs from. The kernel's own search for a free port of a given address walks those that are in use one
 * by one: with some thousand connections from one caller that is a millisecond each. Taken in turn the next is nearly
 * always free.
 *
 * Every second one alone. A port that was asked for, and not chosen by connect(2) itself, no other program's connect is given
 * at any address until it is free again, a minute after its connection was closed: 500 calls a second would take
 * all that the host has. As bind(2) without a port does, these are the second of each two, where connect looks last.
 */
export class SourcePorts {
  readonly #range: PortRange | undefined;
  /** Of how many pairs there are. */
  #next: number;

  /** `range`: undefined, or one that is no pair, leaves the choice to the system. `begin`: at which pair of the range to begin. */
  constructor(range: PortRange | undefined, begin: number = randomInt(pairsOf(range) || 1)) {
    this.#range = pairsOf(range) > 0 ? range : undefined;
    this.#next = begin;
  }

  /** Connects from one of the ports; when a few in a row are taken, the system searches all of them. */
  async connect(options: ConnectOptions): Promise<Conduit> {
    const range = this.#range;
    for (let attempt = 0; range !== undefined && attempt < TRIES; attempt++) {
      try {
        return (await connectSocket({ ...options, localPort: this.#take(range) })).conduit;
      } catch (cause) {
        if (!isPortless(cause)) throw cause;
      }
    }
    return (await connectSocket(options)).conduit;
  }

  #take(range: PortRange): number {
    const port = range.first + 2 * this.#next + 1;
    this.#next = (this.#next + 1) % pairsOf(range);
    return port;
  }
}

function pairsOf(range: PortRange | undefined): number {
  return range === undefined ? 0 : Math.floor(range.count / 2);
}

/** What the kernel itself would choose from. Undefined where it does not tell, or keeps single ports of it for others. */
export function systemRange(): PortRange | undefined {
  try {
    if (readFileSync('/proc/sys/net/ipv4/ip_local_reserved_ports', 'utf8').trim() !== '') return undefined;
    const [first = 0, last = 0] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
      .split(/\s+/)
      .map(Number);
    return first > 0 && last >= first ? { first, count: last - first + 1 } : undefined;
  } catch {
    return undefined;
  }
}
