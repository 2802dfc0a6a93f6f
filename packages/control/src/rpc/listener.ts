/**
 * The TCP port under the gRPC server. It is our own, and not the one that grpc-js would open, so that connections are
 * bounded, and so that every one of them ends with control: grpc-js knows of a connection only once its TLS handshake is
 * done, and a silent stranger would keep control from ending for as long as Node waits for that.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { HostPort } from '@weft/proto';
import { listen } from '@weft/proto/observe';
import type { Logger } from 'pino';
import type { Connections } from './connections.ts';

export class Listener {
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  /** `take` is given each connection; one for which there is no place is closed. */
  constructor(take: (connection: Socket) => void, connections: Connections) {
    this.#server = createServer({ noDelay: true }, (connection) => {
      if (!connections.enter(connection)) {
        connection.destroy();
        return;
      }
      this.#open.add(connection);
      connection.once('close', () => this.#open.delete(connection));
      take(connection);
    });
  }

  /** The answer is the address with the port that was given where 0 was asked for. Rejects with ListenError. */
  listen(address: HostPort, logger: Logger): Promise<HostPort> {
    return listen(this.#server, address, '--listen', logger);
  }

  /** Takes no more connections, and resolves when those that are open have ended: by themselves, or after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const force = setTimeout(() => {
        for (const connection of this.#open) connection.destroy();
      }, graceMs);
      this.#server.close(() => {
        clearTimeout(force);
        resolve();
      });
    });
  }
}
