/** What a bound UDP socket sends and receives: on its handle, and many at a time, where that is known, else by the public API. */
import type dgram from 'node:dgram';
import { type DatagramReceiver, receiveBatches } from './inside/batch-input.ts';
import { datagramHandleOutput } from './inside/datagram-output.ts';
import { nativeCalls } from './inside/known.ts';
import { compact, type DatagramDropped, type DatagramOutput } from './output.ts';

export type { SocketPlace as DatagramSource } from './inside/socket-address.ts';

/** `limit`: bytes that may wait for the kernel. */
export function datagramOutput(socket: dgram.Socket, limit: number, dropped: DatagramDropped): DatagramOutput {
  return datagramHandleOutput(socket, limit, dropped) ?? new SocketOutput(socket, limit, dropped);
}

/**
 * `keeps`: whether the receiver may keep a datagram's memory. What it keeps nothing of is read into the same memory again. What it
 * sends meanwhile, by any `datagramOutput` of the thread, goes when all that came together is served, before this turn of the loop ends.
 */
export function receiveDatagrams(
  socket: dgram.Socket,
  keeps: 'keeps' | 'keeps nothing',
  receiver: DatagramReceiver,
): void {
  const calls = nativeCalls();
  if (calls === undefined || !receiveBatches(socket, calls, keeps === 'keeps nothing', receiver)) {
    socket.on('message', receiver);
  }
}

/** By Node's public API. */
class SocketOutput implements DatagramOutput {
  readonly #socket: dgram.Socket;
  readonly #limit: number;
  readonly #dropped: DatagramDropped;
  readonly #done = (error: Error | null): void => {
    if (error !== null) this.#dropped(error);
  };

  constructor(socket: dgram.Socket, limit: number, dropped: DatagramDropped) {
    this.#socket = socket;
    this.#limit = limit;
    this.#dropped = dropped;
  }

  sendConnected(datagram: Buffer): void {
    if (this.#full) this.#dropped(undefined);
    else this.#socket.send(compact(datagram), this.#done);
  }

  send(datagram: Buffer, port: number, address: string): void {
    if (this.#full) this.#dropped(undefined);
    else this.#socket.send(compact(datagram), port, address, this.#done);
  }

  get #full(): boolean {
    return this.#socket.getSendQueueSize() > this.#limit;
  }
}
