/** Accepts TCP connections as conduits. */
import net from 'node:net';
import { isShortage } from '@weft/proto';
import { acceptHandles, type Elsewhere } from './inside/handle-connections.ts';
import { boundUnsent, descriptorOf, keepUrgent, shownDescriptor } from './inside/known.ts';
import { NetTransport } from './net-transport.ts';
import { type OpenFiles, outOfFiles } from './open-files.ts';
import type { PortSharing } from './port-sharing.ts';
import { SocketConduit, transportOfHandle } from './socket.ts';
import type { SocketPlace, Transport } from './transport.ts';

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
  /** The listener itself must leave some, and tells of it where none is left to accept with; what it accepts is for the caller to judge. */
  readonly files?: OpenFiles;
  /** Callers are programs, which may send urgent bytes: those stay in their place. */
  readonly keepsUrgent?: boolean;
  /** What is small is to overtake what is not: little waits unsent in the kernel. */
  readonly boundsUnsent?: boolean;
  /** Where a connection may go instead, before anything is read of it. */
  readonly elsewhere?: Elsewhere | undefined;
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

/** Of a connection that another thread accepted. Undefined, and closed, where it is over already. */
export function takePassed(handle: object): { readonly conduit: SocketConduit; readonly remote: Remote } | undefined {
  const transport = transportOfHandle(handle);
  const { remote } = transport;
  if (remote === undefined) {
    transport.destroy();
    return undefined;
  }
  const descriptor = shownDescriptor(handle);
  return { conduit: new SocketConduit(transport), remote: { ...remote, descriptor } };
}

/**
 * Accepts at a socket that another process made, bound and listens with. The connection's own end is told beside the far one,
 * for the socket may be of every address. Rejects with the system's error, and EMFILE where too few files are left.
 */
export function listenHandle(
  handle: object,
  options: Pick<ListenOptions, 'files' | 'onError'>,
  onConnection: (conduit: SocketConduit, remote: Remote, called: SocketPlace) => void,
): Promise<ConduitListener> {
  return serve(
    (server, listening) => server.listen(handle, listening),
    { ...options, handed: true },
    (conduit, remote, { local }) => onConnection(conduit, remote, local ?? { address: '', port: 0 }),
  );
}

function listen(
  options: ListenOptions,
  onConnection: (conduit: SocketConduit, remote: Remote) => void,
): Promise<ConduitListener> {
  const { host, port, share } = options;
  const where = { host, port, backlog: 1024, ...(share === undefined ? {} : { reusePort: true }) };
  return serve((server, listening) => server.listen(where, listening), options, onConnection);
}

function serve(
  begin: (server: net.Server, listening: () => void) => void,
  {
    files,
    onError,
    keepsUrgent,
    boundsUnsent,
    elsewhere,
    handed,
  }: Pick<ListenOptions, 'files' | 'onError' | 'keepsUrgent' | 'boundsUnsent' | 'elsewhere'> & { handed?: boolean },
  onAccepted: (conduit: SocketConduit, remote: Remote, transport: Transport) => void,
): Promise<ConduitListener> {
  return new Promise((resolve, reject) => {
    const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
    const accept = (transport: Transport, descriptor: number | undefined): void => {
      const { remote } = transport;
      // Undefined when it was reset before it could be accepted.
      if (remote === undefined) transport.destroy();
      else
        onAccepted(new SocketConduit(transport), { address: remote.address, port: remote.port, descriptor }, transport);
    };
    server.on('connection', (socket) => accept(new NetTransport(socket), descriptorOf(socket)));
    server.once('error', reject);
    begin(server, () => {
      server.off('error', reject);
      if (files?.spares(descriptorOf(server)) === false) {
        server.close();
        reject(outOfFiles('listen'));
        return;
      }
      server.on('error', (error) => {
        if (isShortage(error)) files?.ranOut();
        onError?.(error);
      });
      if (keepsUrgent === true) keepUrgent(descriptorOf(server));
      if (boundsUnsent === true) boundUnsent(descriptorOf(server));
      acceptHandles(server, accept, elsewhere, handed);
      const bound = server.address() as net.AddressInfo;
      resolve({ port: bound.port, address: bound.address, close: () => server.close() });
    });
  });
}
