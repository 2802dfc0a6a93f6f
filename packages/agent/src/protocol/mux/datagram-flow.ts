/** One UDP flow in a tunnel: opened like a stream, for its verdict; its datagrams come as frames or as sealed packets. */
import type { DatagramEvents } from '../../words/conduit.ts';
import { MuxError } from './errors.ts';
import type { Scheduler } from './scheduler.ts';
import { FRAME } from './types.ts';

export class DatagramFlow {
  readonly id: number;
  readonly #host: { readonly scheduler: Scheduler; ended(id: number): void };
  #events: DatagramEvents | undefined;
  #over: boolean = false;
  #closedDelivered: boolean = false;
  #cause: Error | undefined;

  constructor(host: { readonly scheduler: Scheduler; ended(id: number): void }, id: number) {
    this.#host = host;
    this.id = id;
  }

  get over(): boolean {
    return this.#over;
  }

  attach(events: DatagramEvents): void {
    if (this.#events !== undefined) throw new TypeError('a flow has one user');
    this.#events = events;
    if (this.#over) queueMicrotask(() => this.#deliverClosed());
  }

  /** Sends the payload as a frame; false when it was dropped. */
  sendFrame(payload: Buffer): boolean {
    return !this.#over && this.#host.scheduler.datagram(this.id, payload);
  }

  close(): void {
    if (this.#over) return;
    this.#host.scheduler.control(FRAME.fin, this.id);
    this.#finish();
  }

  receiveDatagram(payload: Buffer): void {
    if (!this.#over) this.#events?.datagram(payload);
  }

  receiveData(): void {
    throw new MuxError('wrong-state', 'stream data on a UDP flow');
  }

  receiveCredit(): void {
    throw new MuxError('wrong-state', 'credit on a UDP flow');
  }

  receiveFin(): void {
    this.#finish();
  }

  receiveReset(): void {
    this.#finish();
  }

  fail(cause: Error): void {
    if (!this.#over) this.#cause = cause;
    this.#finish();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#host.ended(this.id);
    this.#deliverClosed();
  }

  #deliverClosed(): void {
    if (!this.#over || this.#closedDelivered || this.#events === undefined) return;
    this.#closedDelivered = true;
    this.#events.closed(this.#cause);
  }
}
