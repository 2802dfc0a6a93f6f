/** What a bound UDP socket sends and receives: on its handle, and many at a time, where that is known, else by the public API. */
import type dgram from 'node:dgram';
import type { DatagramDropped, DatagramOutput } from './datagram-output.ts';
import { type DatagramReceiver, receiveBatches } from './inside/batch-input.ts';
import { gatheringOf } from './inside/batch-output.ts';
import { datagramHandleOutput } from './inside/datagram-output.ts';
import { manyDatagrams } from './inside/known.ts';

export type { SocketPlace as DatagramSource } from './inside/socket-address.ts';

/** `limit`: bytes that may wait for the kernel. */
export function datagramOutput(socket: dgram.Socket, limit: number, dropped: DatagramDropped): DatagramOutput {
  return datagramHandleOutput(socket, limit, dropped) ?? new SocketOutput(socket, limit, dropped);
}

/**
 * Datagrams are lent to the receiver: their memory is used again once it returns. What it sends meanwhile, by any `datagramOutput` of
 * the thread, goes when all that came together is served, before this turn of the loop ends.
 */
export function receiveDatagrams(socket: dgram.Socket, receiver: DatagramReceiver): void {
  const calls = manyDatagrams();
  if (calls === undefined || !receiveBatches(socket, calls, receiver)) socket.on('message', receiver);
}

/** To be called once all that came together is served, before what was sent meanwhile goes. False, and never called, where nothing is being served. */
export function whenServed(call: () => void): boolean {
  const calls = manyDatagrams();
  return calls !== undefined && gatheringOf(calls).atEnd(call);
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
    else this.#socket.send(Buffer.from(datagram), this.#done);
  }

  send(datagram: Buffer, port: number, address: string): void {
    if (this.#full) this.#dropped(undefined);
    else this.#socket.send(Buffer.from(datagram), port, address, this.#done);
  }

  get #full(): boolean {
    return this.#socket.getSendQueueSize() > this.#limit;
  }
}
