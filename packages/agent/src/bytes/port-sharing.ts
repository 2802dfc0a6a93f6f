/**
 * One port for several threads: each binds it with SO_REUSEPORT, and the kernel spreads connections and datagrams among
 * them. The kernel lets every process of the same user join in so; the first thread therefore binds alone once, to hear
 * whether somebody has the port. What is left is the moment between that and its binding to share.
 */
import { createSocket, type SocketType } from 'node:dgram';
import { once } from 'node:events';

/** `first` fails when anybody else has the port; `join` shares it with the first. */
export type PortSharing = 'first' | 'join';

/** Rejects with the system's error when somebody has the UDP port. */
export async function assertFreeDatagramPort(type: SocketType, address: string, port: number): Promise<void> {
  const socket = createSocket(type);
  try {
    socket.bind({ port, address, exclusive: true });
    await once(socket, 'listening');
  } finally {
    socket.close();
  }
}
