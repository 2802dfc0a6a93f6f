/**
 * One end of a stream: a conduit (half-close, reset, backpressure both ways) made of frames. It knows credit and order;
 * when its bytes go out is the scheduler's word.
 */
import type { ConduitEvents } from '../../words/conduit.ts';
import { ByteQueue } from './byte-queue.ts';
import { MuxError } from './errors.ts';
import { encodeCredit } from './frames.ts';
import type { Scheduler } from './scheduler.ts';
import { FRAME, MAXIMUM_CREDIT } from './types.ts';
import type { ReceiveWindow } from './window.ts';

/** What a stream needs of its tunnel. */
export interface StreamHost {
  readonly scheduler: Scheduler;
  now(): number;
  /** Milliseconds. */
  readonly roundTrip: number;
  /** The stream is over; its id is free to be forgotten. */
  ended(id: number): void;
}

export class MuxStream {
  readonly id: number;
  readonly #host: StreamHost;
  readonly #window: ReceiveWindow;
  #events: ConduitEvents | undefined;

  readonly sendQueue = new ByteQueue();
  /** Bytes the peer lets us send. */
  credit: number;
  #wantsDrain: boolean = false;
  #drainOwed: boolean = false;
  #ending: boolean = false;
  #resetsWhenWritten: boolean = false;
  #finSent: boolean = false;

  readonly #receiveQueue: ByteQueue;
  #paused: boolean = true;
  #delivering: boolean = false;
  #finReceived: boolean = false;
  #resetReceived: boolean = false;
  #endDelivered: boolean = false;
  #over: { readonly how: 'closed' | 'reset'; readonly cause: Error | undefined } | undefined;
  #closedDelivered: boolean = false;

  /** `early`: what came of the peer's data before the stream was. */
  constructor(host: StreamHost, id: number, window: ReceiveWindow, credit: number, early = new ByteQueue()) {
    this.#host = host;
    this.id = id;
    this.#window = window;
    this.credit = credit;
    this.#receiveQueue = early;
    if (early.length > 0) window.receive(early.length);
  }

  // --- the user's side ---

  attach(events: ConduitEvents): void {
    if (this.#events !== undefined) throw new TypeError('a stream has one user');
    this.#events = events;
    if (this.#over !== undefined) {
      queueMicrotask(() => this.#deliverClosed());
      return;
    }
    if (this.#drainOwed) queueMicrotask(() => this.#tellDrain());
    this.resume();
  }

  write(piece: Buffer, owned: boolean): boolean {
    if (this.#over !== undefined || this.#ending || piece.length === 0) return true;
    if (this.#resetsWhenWritten || this.#resetReceived) return true;
    const scheduler = this.#host.scheduler;
    let sent = 0;
    if (this.sendQueue.length === 0 && scheduler.takes(piece.length)) {
      sent = Math.min(piece.length, this.credit);
      if (sent > 0) scheduler.data(this, sent === piece.length ? piece : piece.subarray(0, sent));
      if (sent === piece.length && this.credit > 0 && scheduler.writable) return true;
    }
    if (sent < piece.length) this.sendQueue.push(sent === 0 ? piece : piece.subarray(sent), owned);
    this.#wantsDrain = true;
    if (this.credit > 0) scheduler.ready(this);
    return false;
  }

  /** A tunnel over this one writes so. */
  writeTogether(produce: (emit: (piece: Buffer, owned: boolean) => void) => void): boolean {
    let room = true;
    produce((piece, owned) => {
      room = this.write(piece, owned);
    });
    return room;
  }

  get localAddress(): undefined {
    return undefined;
  }

  get remoteAddress(): undefined {
    return undefined;
  }

  get backlog(): number {
    return this.sendQueue.length;
  }

  get writes(): number {
    return this.sendQueue.pieces;
  }

  end(): void {
    if (this.#over !== undefined || this.#ending) return;
    this.#ending = true;
    // Nobody is left to tell of room: a stream that waited on would ask for turns for ever.
    this.#wantsDrain = false;
    this.afterSend();
  }

  reset(): void {
    if (this.#over !== undefined) return;
    this.#host.scheduler.control(FRAME.reset, this.id);
    this.#finish('reset', undefined);
  }

  /** As `reset`, behind what was written. */
  resetWhenWritten(): void {
    if (this.sendQueue.length === 0) this.reset();
    else this.#resetsWhenWritten = true;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (this.#events === undefined) return;
    this.#paused = false;
    this.#deliver();
  }

  // --- the scheduler's side ---

  /** Called when the stream had its turn: closes what is to be closed, and lets the writer go on. */
  afterSend(): void {
    if (this.#over !== undefined || this.sendQueue.length > 0) return;
    if (this.#resetsWhenWritten) {
      this.reset();
      return;
    }
    if (this.#ending) {
      if (this.#finSent) return;
      this.#finSent = true;
      this.#host.scheduler.control(FRAME.fin, this.id);
      this.#maybeFinish();
      return;
    }
    if (this.#wantsDrain && this.credit > 0 && this.#host.scheduler.writable) {
      this.#wantsDrain = false;
      this.#drainOwed = true;
      this.#tellDrain();
    }
  }

  get waitsForTurn(): boolean {
    return this.#over === undefined && this.credit > 0 && (this.sendQueue.length > 0 || this.#wantsDrain);
  }

  // --- frames from the peer ---

  receiveData(piece: Buffer, owned: boolean): void {
    if (this.#over !== undefined) return;
    if (this.#finReceived) throw new MuxError('wrong-state', 'data after the end of a stream');
    this.#window.receive(piece.length);
    if (this.#paused || this.#delivering || this.#receiveQueue.length > 0) {
      this.#receiveQueue.push(piece, owned);
      return;
    }
    this.#hand(piece, owned);
  }

  receiveCredit(credit: number): void {
    this.credit += credit;
    if (this.credit > MAXIMUM_CREDIT) throw new MuxError('window-overflow', 'more credit than a window can hold');
    if (this.waitsForTurn) this.#host.scheduler.ready(this);
  }

  receiveFin(): void {
    if (this.#over !== undefined) return;
    if (this.#finReceived) throw new MuxError('wrong-state', 'a second end of a stream');
    this.#finReceived = true;
    this.#deliver();
  }

  /** What came before it is handed on first; while it waits the stream sends no more. */
  receiveReset(): void {
    if (this.#receiveQueue.length === 0 || this.#events === undefined) {
      this.#finish('reset', undefined);
      return;
    }
    this.#resetReceived = true;
    this.sendQueue.clear();
    this.#host.scheduler.forget(this);
    this.#deliver();
  }

  receiveDatagram(): void {
    throw new MuxError('wrong-state', 'a datagram on a TCP stream');
  }

  /** The tunnel is gone. */
  fail(cause: Error): void {
    this.#finish('reset', cause);
  }

  // --- inside ---

  /** A user that wrote before it attached is told when it does. */
  #tellDrain(): void {
    if (this.#events === undefined || !this.#drainOwed || this.#over !== undefined) return;
    this.#drainOwed = false;
    this.#events.drain();
  }

  #hand(piece: Buffer, owned: boolean): void {
    this.#delivering = true;
    try {
      this.#events?.data(piece, owned);
    } finally {
      this.#delivering = false;
    }
    if (this.#over !== undefined) return;
    // Credit goes back when the bytes are handed on: a user that pauses stops it, and so the far writer.
    const hungry = this.#receiveQueue.length === 0;
    const grant = this.#window.use(piece.length, hungry, this.#host.now(), this.#host.roundTrip);
    if (grant > 0 && !this.#finReceived) this.#host.scheduler.control(FRAME.window, this.id, encodeCredit(grant));
  }

  #deliver(): void {
    if (this.#delivering) return;
    while (!this.#paused && this.#over === undefined) {
      const piece = this.#receiveQueue.shift(Number.POSITIVE_INFINITY);
      if (piece === undefined) break;
      this.#hand(piece, this.#receiveQueue.owned);
      this.#receiveQueue.free();
    }
    if (this.#over !== undefined) {
      this.#deliverClosed();
      return;
    }
    if (this.#resetReceived && this.#receiveQueue.length === 0) {
      this.#finish('reset', undefined);
      return;
    }
    if (this.#finReceived && this.#receiveQueue.length === 0 && !this.#paused && !this.#endDelivered) {
      this.#endDelivered = true;
      this.#events?.end();
      this.#maybeFinish();
    }
  }

  #maybeFinish(): void {
    if (this.#finSent && this.#endDelivered) this.#finish('closed', undefined);
  }

  #finish(how: 'closed' | 'reset', cause: Error | undefined): void {
    if (this.#over !== undefined) return;
    this.#over = { how, cause };
    this.sendQueue.clear();
    this.#receiveQueue.clear();
    this.#window.release();
    this.#host.scheduler.forget(this);
    this.#host.ended(this.id);
    this.#deliverClosed();
  }

  #deliverClosed(): void {
    if (this.#over === undefined || this.#events === undefined || this.#closedDelivered) return;
    this.#closedDelivered = true;
    this.#events.closed(this.#over.how, this.#over.cause);
  }
}
