/** Accepts TCP connections as conduits. */
import net from 'node:net';
import { descriptorOf } from './inside/descriptor.ts';
import { type OpenFiles, outOfFiles } from './open-files.ts';
import type { PortSharing } from './port-sharing.ts';
import { type SocketConduit, socketConduit } from './socket.ts';

export interface Remote {
  readonly address: string;
  readonly port: number;
  /** Of the connection, in this process; undefined where it is not known. */
  readonly descriptor?: number | undefined;
}

export interface ConduitListener {
  /** Bound port: the chosen one where 0 was asked for. */
  readonly port: number;
  readonly address: string;
  /** Accepts no more; connections accepted before go on. */
  close(): void;
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  /** Undefined for a port that one thread alone listens on. */
  readonly share?: PortSharing;
  /** The listener itself must leave some; what it accepts is for the caller to judge. */
  readonly files?: OpenFiles;
  /** Called when accepting fails later, such as for want of file descriptors; the listener goes on. */
  readonly onError?: (error: Error) => void;
}

/** Listens. Rejects with the system's error when the address cannot be had. */
export async function listenConduits(
  options: ListenOptions,
  onConnection: (conduit: SocketConduit, remote: Remote) => void,
): Promise<ConduitListener> {
  const { host, port, share } = options;
  if (share !== 'first') return await listen(options, onConnection);
  // A call that comes in this moment finds nobody home.
  const alone = await listen({ host, port }, (conduit) => conduit.reset());
  alone.close();
  return await listen({ ...options, port: alone.port }, onConnection);
}

/** Where a connection came to, of a listener that stands for many places. */
export interface Called {
  readonly address: string;
  readonly port: number;
}

type OnConnection = (conduit: SocketConduit, remote: Remote) => void;

/** Listens by what another process bound and handed over, a `net.Native`. Rejects with the system's error. */
export function listenHandle(
  handle: object,
  { onError }: Pick<ListenOptions, 'onError'>,
  onConnection: (conduit: SocketConduit, remote: Remote, called: Called) => void,
): Promise<Pick<ConduitListener, 'close'>> {
  return new Promise((resolve, reject) => {
    const server = conduitServer((socket, remote) => {
      // Asked for first: afterwards another socket may have it.
      const called = { address: socket.localAddress ?? '', port: socket.localPort ?? 0 };
      onConnection(socketConduit(socket), remote, called);
    });
    server.once('error', reject);
    server.listen(handle, () => {
      server.off('error', reject);
      server.on('error', (error) => onError?.(error));
      resolve({ close: () => server.close() });
    });
  });
}

function conduitServer(accepted: (socket: net.Socket, remote: Remote) => void): net.Server {
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
  server.on('connection', (socket) => {
    const { remoteAddress, remotePort } = socket;
    // Undefined when it was reset before it could be accepted.
    if (remoteAddress === undefined || remotePort === undefined) {
      socket.destroy();
      return;
    }
    // Asked for first: afterwards another socket may have it.
    const descriptor = descriptorOf(socket);
    accepted(socket, { address: remoteAddress, port: remotePort, descriptor });
  });
  return server;
}

function listen(options: ListenOptions, onConnection: OnConnection): Promise<ConduitListener> {
  return new Promise((resolve, reject) => {
    const server = conduitServer((socket, remote) => onConnection(socketConduit(socket), remote));
    server.once('error', reject);
    const { host, port, share, files } = options;
    server.listen({ host, port, backlog: 1024, ...(share === undefined ? {} : { reusePort: true }) }, () => {
      server.off('error', reject);
      if (files?.spares(descriptorOf(server)) === false) {
        server.close();
        reject(outOfFiles('listen'));
        return;
      }
      server.on('error', (error) => options.onError?.(error));
      const bound = server.address() as net.AddressInfo;
      resolve({ port: bound.port, address: bound.address, close: () => server.close() });
    });
  });
}
