/** How many connections the dashboard holds, and for how long one that asks nothing. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { isLoopback } from '@weft/proto';

const MOST = 256;
/** So that one address cannot hold all places. */
export const MOST_OF_ONE_ADDRESS = 64;

/** For the server's own options. */
export const CONNECTION_TIMES = {
  /** For a whole request to come. */
  requestTimeout: 10_000,
  /** Between two requests. */
  keepAliveTimeout: 5_000,
  /** In which nothing moves, such as an answer that is not read; a stream moves every two seconds. */
  connectionTimeout: 60_000,
} as const;

/** Loopback has no bound of its own: what comes by ssh, or by a proxy on this host, all comes from there. */
export function boundConnections(server: Server): void {
  server.maxConnections = MOST;
  const open = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, '');
    // Without an address it is gone already.
    if (address === undefined || isLoopback(address)) return;
    const held = open.get(address) ?? 0;
    if (held >= MOST_OF_ONE_ADDRESS) {
      socket.destroy();
      return;
    }
    open.set(address, held + 1);
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left > 0) open.set(address, left);
      else open.delete(address);
    });
  });
}
