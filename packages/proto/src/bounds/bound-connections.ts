/** The connections of an HTTP server, by who is being answered. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Admission, type AdmissionLimits, type Seat } from './admission.ts';

/** Who asks nothing, or has not asked to the end, makes room for who comes; who finds no room is closed. */
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
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const seat = seats.get(request.socket);
    const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
    let over = false;
    const whole = () => {
      if (!over) seat?.busy();
    };
    if (length === '0' && encoding === undefined) whole();
    else request.once('end', whole);
    response.once('close', () => {
      over = true;
      seat?.idle();
    });
  });
}
