/** The number that the kernel gave a socket. */
import dgram from 'node:dgram';
import type net from 'node:net';
import { datagramHandleOf } from './datagram-output.ts';
import { handleOf } from './known.ts';

/** Undefined where Node does not show it, or the socket is closed. */
export function descriptorOf(socket: net.Socket | net.Server | dgram.Socket): number | undefined {
  const handle = socket instanceof dgram.Socket ? datagramHandleOf(socket) : handleOf(socket);
  const descriptor = (handle as { readonly fd?: unknown } | undefined)?.fd;
  return typeof descriptor === 'number' && descriptor >= 0 ? descriptor : undefined;
}
