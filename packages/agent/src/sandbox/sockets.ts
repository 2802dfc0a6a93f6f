/** Sockets of a sandbox's two network namespaces, which only who lives there can make: asked for one by one. */
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import type { Protocol } from '@weft/proto';
import { closeHandle } from '../bytes/handle.ts';
import type { Visitor } from './relay.ts';

/**
 * `agent` has nothing but this agent's own sockets; `program` is where the program is. A stream that is dialled comes
 * connected, a listening one listening, one for datagrams bound. `tcp-carried`: what listens for calls out of the mesh.
 */
export interface SocketWanted {
  readonly where: 'agent' | 'program';
  readonly kind: 'tcp-listen' | 'tcp-carried' | 'tcp' | 'udp' | 'udp-to';
  /** IPv4. */
  readonly host: string;
  readonly port: number;
  /** Address and port to come from, of those that dial; 0 leaves the port to the system. */
  readonly from?: { readonly host: string; readonly port: number };
}

/** At once; a sandbox that answers nothing must not gather them. */
const MOST_WAITING = 512;
/** Longer than the sandbox itself takes for a dial. */
const ANSWER_MS = 6_000;

interface Waiting {
  readonly protocol: Protocol;
  readonly resolve: (handle: object) => void;
  readonly reject: (cause: Error) => void;
  readonly late: NodeJS.Timeout;
}

export class SandboxSockets {
  readonly #visitor: Visitor;
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;
  #closed: boolean = false;

  constructor(visitor: Visitor) {
    this.#visitor = visitor;
  }

  /** Rejects with an error that has the system's `code`. */
  ask({ where, kind, host, port, from }: SocketWanted): Promise<object> {
    if (this.#closed) return Promise.reject(failed('ECONNRESET'));
    if (this.#waiting.size >= MOST_WAITING) return Promise.reject(failed('EAGAIN'));
    const id = this.#next++;
    const source = from === undefined ? '' : ` ${from.host} ${from.port}`;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => this.#take(id)?.reject(failed('ETIMEDOUT')), ANSWER_MS);
      this.#waiting.set(id, { protocol: kind.startsWith('udp') ? 'udp' : 'tcp', resolve, reject, late });
      this.#visitor.say(`socket ${id} ${where} ${kind} ${host} ${port}${source}`);
    });
  }

  /** `socket ID` with the socket. */
  came(id: number, handle: object | undefined): void {
    const waiting = handle === undefined ? undefined : this.#take(id);
    if (waiting === undefined || handle === undefined) {
      closeHandle(handle);
      return;
    }
    if (isOfProtocol(handle, waiting.protocol)) {
      waiting.resolve(handle);
      return;
    }
    // Whatever it is, it is not what was asked for, and nobody takes it.
    closeHandle(handle);
    waiting.reject(failed('EPROTOTYPE'));
  }

  /** `failed ID ERRNO`. */
  failed(id: number, errno: number): void {
    this.#take(id)?.reject(systemFailure(errno));
  }

  close(): void {
    this.#closed = true;
    for (const id of [...this.#waiting.keys()]) this.#take(id)?.reject(failed('ECONNRESET'));
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(waiting?.late);
    return waiting;
  }
}

/** What Node has made of a socket that came: another sort would be misread by whoever uses it. */
export function isOfProtocol(handle: object, protocol: Protocol): boolean {
  return handle.constructor.name === (protocol === 'udp' ? 'UDP' : 'TCP');
}

function systemFailure(errno: number): Error {
  if (!Number.isInteger(errno) || errno <= 0 || errno > 133) return failed('EIO');
  return Object.assign(new Error(getSystemErrorMessage(-errno)), { code: getSystemErrorName(-errno), errno: -errno });
}

function failed(code: string): Error {
  return Object.assign(new Error(`the sandbox gave no socket: ${code}`), { code });
}
