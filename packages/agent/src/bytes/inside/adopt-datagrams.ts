/** A UDP socket of another process, connected there: node:dgram takes its handle, and does not know that it is connected. */
import dgram from 'node:dgram';
import { closeHandle } from '../handle.ts';
import { isInsideKnown } from './known.ts';

/** What node:dgram has of a connected socket. */
const CONNECTED = 2;

/** `handle`: a `dgram.Native` as process.send hands it over. Undefined, and the handle closed, where Node's inside is not what is known. */
export function adoptDatagrams(handle: object): dgram.Socket | undefined {
  const socket = dgram.createSocket('udp4');
  // It reads from now on, and who handed it over has a copy: what that makes it fail with (ECONNREFUSED) comes before any other listens, or where nobody does.
  socket.on('error', () => undefined);
  try {
    socket.bind(handle as unknown as number);
    if (isInsideKnown() && markConnected(socket)) return socket;
  } catch {
    // It is not what was said.
  }
  socket.close();
  // Where it was not taken over it is still open.
  closeHandle(handle);
  return undefined;
}

function markConnected(socket: dgram.Socket): boolean {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  if (symbol === undefined) return false;
  const state = (socket as unknown as Record<symbol, { connectState?: unknown } | null>)[symbol];
  if (typeof state?.connectState !== 'number') return false;
  state.connectState = CONNECTED;
  // Throws where it is not connected.
  socket.remoteAddress();
  return true;
}
