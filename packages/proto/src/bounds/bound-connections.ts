/** The connections of an HTTP server, by who is being answered. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Admission, type AdmissionLimits, type Seat } from './admission.ts';

/** An answer that has not been taken by then may wait for somebody who does not read. */
const UNTAKEN_MS = 5_000;

/**
 * Who asks nothing, or has not asked to the end, makes room for who comes; then who does not take its answer, which is a way to be served
 * for as long as one likes. Who finds no room is closed.
 */
export function boundConnections(server: Server, limits: AdmissionLimits, untakenMs: number = UNTAKEN_MS): void {
  const admission = new Admission(limits);
  const seats = new WeakMap<Socket, Seat>();
  /** Since when, the longest first. */
  const served = new Map<Socket, number>();
  const partUntaken = (): void => {
    const sinceMs = performance.now() - untakenMs;
    for (const [socket, ms] of served) {
      if (ms > sinceMs || socket.writableLength === 0) continue;
      seats.get(socket)?.leave();
      served.delete(socket);
      socket.destroy();
    }
  };
  server.on('connection', (socket: Socket) => {
    const enter = () => admission.enter(socket.remoteAddress ?? '', () => socket.destroy());
    let seat = enter();
    if (seat === undefined) {
      partUntaken();
      seat = enter();
    }
    if (seat === undefined) {
      socket.destroy();
      return;
    }
    const { leave } = seat;
    seats.set(socket, seat);
    socket.once('close', leave);
  });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    const seat = seats.get(socket);
    const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
    let over = false;
    const whole = () => {
      if (over) return;
      seat?.busy();
      served.set(socket, performance.now());
    };
    if (length === '0' && encoding === undefined) whole();
    else request.once('end', whole);
    response.once('close', () => {
      over = true;
      served.delete(socket);
      seat?.idle();
    });
  });
}
