/** Takes the handle out of a socket that Node made. */
import type net from 'node:net';
import type { Transport } from '../transport.ts';
import { handleTransport } from './handle-transport.ts';
import { handleOf } from './known.ts';

/** Of a connected socket that has not been read, and is over from then on. Undefined where it is to be used as it is. */
export function adoptSocket(socket: net.Socket): Transport | undefined {
  const handle = handleOf(socket);
  const transport = handle && handleTransport(handle);
  if (transport === undefined) return undefined;
  // Else it would close it with itself.
  (socket as unknown as { _handle: object | null })._handle = null;
  socket.destroy();
  return transport;
}
