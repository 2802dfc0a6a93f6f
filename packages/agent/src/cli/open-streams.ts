/** The connections that weft forward carries, of all its forwards together. */
import type { SocketConduit } from '../bytes/socket.ts';

/** The signal resets them. */
export class OpenStreams {
  readonly #signal: AbortSignal;
  /** By who called, the connection to the service, once it is there. */
  readonly #open = new Map<SocketConduit, SocketConduit | undefined>();
  /** However the process ends: the kernel would close connections as if all had been said. */
  readonly #cut = () => {
    for (const [client, service] of this.#open) {
      client.reset();
      service?.reset();
    }
  };

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    process.once('exit', this.#cut);
    const stop = () => {
      for (const client of this.#open.keys()) client.reset();
      this.#over();
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  }

  set(client: SocketConduit, service?: SocketConduit): void {
    this.#open.set(client, service);
  }

  delete(client: SocketConduit): void {
    this.#open.delete(client);
    this.#over();
  }

  #over(): void {
    if (this.#signal.aborted && this.#open.size === 0) process.off('exit', this.#cut);
  }
}
