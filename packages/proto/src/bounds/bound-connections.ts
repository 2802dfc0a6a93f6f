/** The connections of an HTTP server, by who is being answered. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Admission, type AdmissionLimits, type Seat } from './admission.ts';

/** Who asks nothing makes room for who comes; who finds no room is closed. */
export function boundConnections(server: Server, limits: AdmissionLimits): void {
  const admission = new Admission(limits);
  const seats = new WeakMap<Socket, Seat>();
  server.on('connection', (socket: Socket) => {
    const seat = admission.enter(socket.remoteAddress ?? '', () => socket.destroy());
    if (seat === undefined) {
      socket.destroy();
      return;
    }
    seats.set(socket, seat);
    socket.once('close', () => seat.leave());
  });
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    seats.get(socket)?.busy();
    response.once('close', () => seats.get(socket)?.idle());
  });
}
