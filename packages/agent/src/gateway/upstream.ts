/**
 * Connections to services on behalf of one public connection. They are not shared between clients, so each flow has one
 * client address in its record, and its verdict is that client's alone.
 */
import http from 'node:http';
import type { Duplex } from 'node:stream';
import { IngressError } from './errors.ts';
import type { OpenIngress } from './types.ts';

/** How long a connection waits for the client's next request. Shorter than the 5 s after which common servers close. */
const IDLE_MS = 3000;

type Created = (error: Error | null, duplex: Duplex) => void;

/** An agent in the sense of node:http: request options name the service as `host`. Keeps at most one idle connection. */
export class UpstreamAgent extends http.Agent {
  readonly #open: OpenIngress;
  readonly #openMs: number;
  readonly #clientAddress: string;
  readonly #openings = new Set<AbortController>();
  #closed: boolean = false;
  #idle: { readonly duplex: Duplex; readonly end: () => void; readonly timer: NodeJS.Timeout } | undefined;

  constructor(open: OpenIngress, clientAddress: string, openMs: number) {
    super({ keepAlive: true, maxFreeSockets: 1 });
    this.#open = open;
    this.#openMs = openMs;
    this.#clientAddress = clientAddress;
  }

  override createConnection(options: http.ClientRequestArgs, created: Created): undefined {
    const { host, port } = options;
    this.#connect(host ?? '', Number(port)).then(
      (duplex) => created(null, duplex),
      // node's own type asks for a stream beside the error, and its code for none.
      (error: unknown) => (created as (error: Error) => void)(asError(error)),
    );
  }

  async #connect(service: string, port: number): Promise<Duplex> {
    if (this.#closed) throw new IngressError('client-gone');
    const opening = new AbortController();
    const { signal } = opening;
    this.#openings.add(opening);
    const timer = setTimeout(() => opening.abort(new IngressError('timeout')), this.#openMs);
    try {
      const aborted = new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(asError(signal.reason)), { once: true });
      });
      const opened = this.#open(service, port, this.#clientAddress, signal).then((result) => {
        if (!result.opened) return result;
        // Between two owners a stream has no listener, and an error without listener ends the process.
        result.duplex.on('error', () => {});
        // Nobody waits any more for what comes after the abort.
        if (signal.aborted) result.duplex.destroy();
        return result;
      });
      const result = await Promise.race([opened, aborted]);
      if (!result.opened) throw new IngressError(result.reason);
      return result.duplex;
    } catch (error) {
      throw error instanceof IngressError ? error : new IngressError('unreachable', { cause: error });
    } finally {
      clearTimeout(timer);
      this.#openings.delete(opening);
    }
  }

  /** node asks before it keeps a connection for the next request. */
  override keepSocketAlive(duplex: Duplex): boolean {
    if (this.#closed) return false;
    this.#dropIdle();
    // A byte that nobody asked for would be taken for the start of the next response, an end for a failure of it.
    const end = (): void => void duplex.destroy();
    duplex.on('data', end).on('end', end);
    this.#idle = { duplex, end, timer: setTimeout(end, IDLE_MS) };
    return true;
  }

  override reuseSocket(duplex: Duplex, request: http.ClientRequest): void {
    request.reusedSocket = true;
    if (this.#idle?.duplex !== duplex) return;
    clearTimeout(this.#idle.timer);
    duplex.off('data', this.#idle.end).off('end', this.#idle.end);
    this.#idle = undefined;
  }

  #dropIdle(): void {
    if (this.#idle === undefined) return;
    clearTimeout(this.#idle.timer);
    this.#idle.duplex.destroy();
    this.#idle = undefined;
  }

  /** Ends what is being opened, what is open, and what is idle. Upgraded connections have left. */
  close(): void {
    this.#closed = true;
    this.#dropIdle();
    for (const opening of this.#openings) opening.abort(new IngressError('client-gone'));
    this.destroy();
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new IngressError('unreachable', { cause: error });
}
