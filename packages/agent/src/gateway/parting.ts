/** The end of a public connection. */
import type { Duplex } from 'node:stream';

/** How long a client may go on with what was answered before its end. */
export const LINGER_MS = 5_000;

/**
 * Ends a connection after its last answer. A socket that is closed with bytes unread resets the connection, and a client that
 * still sends loses the answer or never looks for it: so what comes is read away, until the client ends its half too.
 */
export function part(socket: Duplex): void {
  // Nothing that comes is a request any more. The listener takes the connection back from node's parser.
  socket.removeAllListeners('data').removeAllListeners('end');
  socket.on('data', () => {});
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.on('close', () => clearTimeout(timer));
  socket.end();
  socket.resume();
}
