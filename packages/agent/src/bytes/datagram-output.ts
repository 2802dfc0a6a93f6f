/** Sends on a bound UDP socket: straight on its handle where that is known, else by the public API. */
import type dgram from 'node:dgram';
import { datagramHandleOutput } from './inside/datagram-output.ts';
import { compact, type DatagramDropped, type DatagramOutput } from './output.ts';

/** `limit`: bytes that may wait for the kernel. */
export function datagramOutput(socket: dgram.Socket, limit: number, dropped: DatagramDropped): DatagramOutput {
  return datagramHandleOutput(socket, limit, dropped) ?? new SocketOutput(socket, limit, dropped);
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
