/**
 * Ports to call programs from. The kernel's own search for a free port of a given address walks those that are in use one
 * by one: with some thousand connections from one caller that is a millisecond each. Taken in turn the next is nearly
 * always free.
 */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type ConnectOptions, connectSocket } from '../bytes/socket.ts';
import type { Conduit } from '../words/conduit.ts';

export interface PortRange {
  readonly first: number;
  readonly count: number;
}
/** Ports tried one after the other. */
const TRIES = 4;

export class SourcePorts {
  readonly #range: PortRange | undefined;
  #next: number;

  /** `range`: undefined leaves the choice to the system. `begin`: where in the range to begin. */
  constructor(range: PortRange | undefined, begin: number = randomInt(range?.count ?? 1)) {
    this.#range = range;
    this.#next = begin;
  }

  /** Connects from one of the ports; when a few in a row are taken, the system searches all of them. */
  async connect(options: ConnectOptions): Promise<Conduit> {
    const range = this.#range;
    for (let attempt = 0; range !== undefined && attempt < TRIES; attempt++) {
      try {
        return (await connectSocket({ ...options, localPort: this.#take(range) })).conduit;
      } catch (cause) {
        if (!isTaken(cause)) throw cause;
      }
    }
    return (await connectSocket(options)).conduit;
  }

  #take({ first, count }: PortRange): number {
    const port = first + this.#next;
    this.#next = (this.#next + 1) % count;
    return port;
  }
}

function isTaken(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && (cause.code === 'EADDRINUSE' || cause.code === 'EADDRNOTAVAIL');
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
