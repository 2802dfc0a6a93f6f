/** Reads without allocation on accepted sockets: `onread`, which only a new socket can be told to. */
import net from 'node:net';
import { socketOver } from './accept.ts';
import { handleOf, isInsideKnown } from './known.ts';

/** What counts an accepted socket. */
interface ServerInternals {
  _handle: object | null;
  _server: object | null;
  server: object | null;
}

/** Moves the handle of an accepted socket to one that reads by `onread`. Undefined where the accepted one is to be used as it is. */
export function adoptSocket(accepted: net.Socket, onread: net.OnReadOpts): net.Socket | undefined {
  const handle = handleOf(accepted);
  if (!isInsideKnown() || handle === undefined) return undefined;
  const inside = accepted as unknown as ServerInternals;
  const socket = socketOver(handle, onread);
  if (socket === undefined) {
    giveBack(handle, accepted);
    return undefined;
  }
  const adopted = socket as unknown as ServerInternals;
  // The server counts its connections by these; the old wrapper must neither close the handle nor be counted.
  adopted.server = inside.server;
  adopted._server = inside._server;
  inside._server = null;
  inside.server = null;
  inside._handle = null;
  return socket;
}

/** A socket that was made halfway has named itself the handle's owner. */
function giveBack(handle: object, accepted: net.Socket): void {
  const owners = handle as Record<symbol, unknown>;
  for (const symbol of Object.getOwnPropertySymbols(handle)) {
    if (owners[symbol] instanceof net.Socket) owners[symbol] = accepted;
  }
}
