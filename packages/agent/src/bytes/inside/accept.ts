/** Accepts without the socket that Node makes of each connection before it tells of it. */
import net from 'node:net';
import { handleOf, isInsideKnown } from './known.ts';

/** What a listening handle calls; `status` is a negated errno. */
type OnConnection = (this: object, status: number, accepted: object | undefined) => void;

/** What a server counts its connections by. */
interface ServerInternals {
  _connections: number;
}

interface SocketInternals {
  server: net.Server;
  _server: net.Server;
}

/**
 * From now on each connection of a listening server becomes what `make` makes of its handle, which is then `taken`; where it makes nothing,
 * or the server shows no inside as it is known here, the server tells of it by 'connection' as ever.
 */
export function acceptHandles<Made extends { readonly socket: net.Socket }>(
  server: net.Server,
  make: (handle: object) => Made | undefined,
  taken: (made: Made) => void,
): void {
  const listening = handleOf(server) as { onconnection?: OnConnection } | undefined;
  const counted = server as unknown as ServerInternals;
  if (!isInsideKnown() || listening === undefined || !showsInside(listening, counted)) return;
  const byNode = listening.onconnection as OnConnection;
  listening.onconnection = function (status, handle) {
    const made = status === 0 && handle !== undefined && isInsideKnown() ? make(handle) : undefined;
    if (made === undefined) {
      byNode.call(this, status, handle);
      return;
    }
    const socket = made.socket as unknown as SocketInternals;
    counted._connections += 1;
    socket.server = server;
    socket._server = server;
    taken(made);
  };
}

function showsInside(listening: { readonly onconnection?: unknown }, server: Partial<ServerInternals>): boolean {
  try {
    return typeof listening.onconnection === 'function' && typeof server._connections === 'number';
  } catch {
    return false;
  }
}

function canBeAdopted(handle: object): boolean {
  try {
    return typeof (handle as { readonly useUserBuffer?: unknown }).useUserBuffer === 'function';
  } catch {
    return false;
  }
}

/** A paused socket that reads by `onread`. Undefined where none can be made over this handle. */
export function socketOver(handle: object, onread: net.OnReadOpts): net.Socket | undefined {
  if (!canBeAdopted(handle)) return undefined;
  const options = { handle, onread, allowHalfOpen: true, pauseOnCreate: true };
  try {
    return new net.Socket(options as unknown as net.SocketConstructorOpts);
  } catch {
    return undefined;
  }
}
