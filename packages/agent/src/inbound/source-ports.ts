/**
 * Ports to call programs from. The kernel's own search for a free port of a given address walks those that are in use one
 * by one: with some thousand connections from one caller that is a millisecond each. Taken in turn the next is nearly
 * always free.
 */
import { randomInt } from 'node:crypto';
import type { Conduit } from '../connections/conduit.ts';
import { type ConnectOptions, connectSocket } from '../connections/socket.ts';

/** The range that Linux, too, takes such ports from by default (ip_local_port_range). */
const FIRST = 32_768;
const COUNT = 28_232;
/** Ports tried one after the other. */
const TRIES = 4;

export class SourcePorts {
  #next: number;

  /** `first`: where in the range to begin. */
  constructor(first: number = randomInt(COUNT)) {
    this.#next = first;
  }

  /** Connects from one of the ports; when a few in a row are taken, the system searches all of them. */
  async connect(options: ConnectOptions): Promise<Conduit> {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      try {
        return (await connectSocket({ ...options, localPort: this.#take() })).conduit;
      } catch (cause) {
        if (!isTaken(cause)) throw cause;
      }
    }
    return (await connectSocket(options)).conduit;
  }

  #take(): number {
    const port = FIRST + this.#next;
    this.#next = (this.#next + 1) % COUNT;
    return port;
  }
}

function isTaken(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && (cause.code === 'EADDRINUSE' || cause.code === 'EADDRNOTAVAIL');
}
