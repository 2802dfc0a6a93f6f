/**
 * The multiplexer of one tunnel: frames in, frames out, streams and UDP flows between. A machine: its driver hands it
 * opened records and the time, and seals what it puts out. Every MuxError it throws out of `receive` is fatal.
 */

import { type EarlyData, MAXIMUM_EARLY, type OpenRequest, type Refusal } from '../../words/opening.ts';
import type { ByteQueue } from './byte-queue.ts';
import { DatagramFlow } from './datagram-flow.ts';
import { MuxError, OpenError } from './errors.ts';
import { decodeRecord } from './frames.ts';
import {
  decodeOpen,
  decodeRefusal,
  encodeOpen,
  encodeRefusal,
  type LastOver,
  Offer,
  type OfferHost,
  type Opening,
  type OpeningEvents,
} from './opening.ts';
import { type RecordOutput, Scheduler } from './scheduler.ts';
import { MuxStream, type StreamHost } from './stream.ts';
import { FRAME, type FrameHandler, MAXIMUM_CREDIT, MAXIMUM_STREAM_ID } from './types.ts';
import { ReceiveWindow, WindowBudget } from './window.ts';

/** What the driver is told. */
export interface MuxEvents {
  offered(offer: Offer): void;
  pong(token: Buffer): void;
  rekey(): void;
  handshake1(message: Buffer): void;
  handshake2(message: Buffer): void;
  switchKeys(): void;
  /** Both ends have said go away and no stream is left. */
  drained(): void;
}

export interface MuxLimits {
  /** Streams and flows of both ends, open or being opened. */
  readonly streams: number;
  /** Offers of the peer not answered yet. */
  readonly offers: number;
  /** Sum of all receive windows, bytes. */
  readonly windows: number;
}

export const DEFAULT_LIMITS: MuxLimits = { streams: 16_384, offers: 4_096, windows: 64 * 1024 * 1024 };
/** Unsent bytes over which a peer that makes us answer and does not read is cut off. */
const FLOOD = 8 * 1024 * 1024;

export class Mux implements FrameHandler, StreamHost, OfferHost {
  readonly scheduler: Scheduler;
  /** Milliseconds; kept up to date by the driver. */
  roundTrip = 0;
  readonly #events: MuxEvents;
  readonly #now: () => number;
  readonly #limits: MuxLimits;
  readonly #budget: WindowBudget;
  readonly #entries = new Map<number, MuxStream | DatagramFlow>();
  readonly #openings = new Map<number, Opening>();
  readonly #offers = new Map<number, Offer>();
  readonly #over: LastOver = { entry: undefined, offer: undefined, opening: undefined };
  /** Offers not answered, those the peer gave up among them: their handlers still run. */
  #unanswered = 0;
  #nextId: number;
  #lastPeerId: number;
  #leaving: boolean = false;
  #peerLeaving: boolean = false;
  #drainedTold: boolean = false;
  #failure: Error | undefined;

  /** The initiator of the tunnel opens odd ids, the responder even ones. */
  constructor(options: {
    readonly initiator: boolean;
    readonly output: RecordOutput;
    readonly events: MuxEvents;
    /** Monotonic milliseconds. */
    readonly now: () => number;
    readonly limits?: MuxLimits;
  }) {
    this.#events = options.events;
    this.#now = options.now;
    this.#limits = options.limits ?? DEFAULT_LIMITS;
    this.#budget = new WindowBudget(this.#limits.windows);
    this.scheduler = new Scheduler(options.output);
    this.#nextId = options.initiator ? 1 : 2;
    this.#lastPeerId = 0;
  }

  get stopped(): boolean {
    return this.#failure !== undefined;
  }

  /** Streams and flows, open or being opened. */
  get size(): number {
    return this.#entries.size + this.#openings.size + this.#offers.size;
  }

  /** Whether `request` would be tried. */
  get takesStreams(): boolean {
    return !this.stopped && !this.#leaving && this.size < this.#limits.streams && this.#nextId <= MAXIMUM_STREAM_ID;
  }

  /** Whether either end has said go away. */
  get leaving(): boolean {
    return this.#leaving;
  }

  now(): number {
    return this.#now();
  }

  // --- the driver's side ---

  /**
   * Asks the peer for a flow. Returns what gives up on it; afterwards no event comes. `data`: what its caller says meanwhile, for
   * a peer that takes it. Giving up answers how many bytes of it went. Throws OpenError.
   */
  request(request: OpenRequest, events: OpeningEvents, data?: EarlyData): () => number {
    if (this.#failure !== undefined) throw new OpenError('closed', 'the tunnel is closed', { cause: this.#failure });
    if (!this.takesStreams) throw new OpenError('too-many-streams', 'the tunnel takes no more streams');
    const window = request.protocol === 'tcp' ? this.#budget.takeInitial() : 0;
    let payload: Buffer;
    try {
      payload = encodeOpen(request, window);
    } catch (error) {
      this.#budget.release(window);
      throw error;
    }
    const id = this.#nextId;
    this.#nextId += 2;
    const opening: Opening = { request, events, window, data, early: 0, sealed: 0, batch: 0 };
    this.#openings.set(id, opening);
    if (data !== undefined) this.scheduler.expecting = true;
    this.scheduler.control(FRAME.open, id, payload);
    data?.follow((piece) => this.#sendEarly(id, opening, piece));
    return () => {
      if (this.#takeOpening(id) === undefined) return 0;
      this.#budget.release(window);
      this.scheduler.control(FRAME.reset, id);
      this.#maybeDrained();
      return opening.early;
    };
  }

  /** Takes one record's plaintext, which may be kept where it is `owned`. Throws MuxError when the peer broke the protocol. */
  receive(pieces: readonly Buffer[], owned: boolean): void {
    if (this.scheduler.backlog > FLOOD) throw new MuxError('flood', 'the peer asks much and reads nothing');
    decodeRecord(pieces, this, owned);
  }

  flush(): void {
    this.scheduler.flush();
  }

  /** Asks for a pong; the token has 8 bytes. */
  sendPing(token: Buffer): void {
    this.scheduler.control(FRAME.ping, 0, token);
  }

  /** Opens no more streams here; once the peer does likewise and none is left, `drained` is told. */
  leave(): void {
    if (this.#leaving || this.stopped) return;
    this.#leaving = true;
    this.scheduler.control(FRAME.goAway, 0);
    this.#maybeDrained();
  }

  /** The tunnel is gone: everything in it ends with a reset. */
  fail(cause: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = cause;
    this.scheduler.close();
    for (const offer of this.#offers.values()) offer.abandon();
    this.#offers.clear();
    for (const id of [...this.#openings.keys()]) {
      const opening = this.#takeOpening(id);
      if (opening === undefined) continue;
      const { early, sealed, batch } = opening;
      opening.events.failed(cause, this.scheduler.batches > batch ? early : sealed);
    }
    for (const entry of [...this.#entries.values()]) entry.fail(cause);
  }

  /** Whether a UDP flow of this id is there. */
  hasFlow(id: number): boolean {
    return this.#entries.get(id) instanceof DatagramFlow;
  }

  /** A datagram of a sealed packet; false when its flow is not known. */
  receivePacketData(id: number, payload: Buffer): boolean {
    const entry = this.#entries.get(id);
    if (!(entry instanceof DatagramFlow)) return false;
    entry.receiveDatagram(payload);
    return true;
  }

  // --- what streams and offers ask ---

  ended(id: number): void {
    this.#over.entry = this.#entries.get(id);
    this.#entries.delete(id);
    this.#maybeDrained();
  }

  admit(offer: Offer, credit: number): { entry: MuxStream | DatagramFlow; window: number } {
    this.dismiss(offer);
    const { entry, window } = this.#enter(offer.id, offer.request, credit, { early: offer.takeEarly() });
    if (offer.gone || this.stopped) entry.fail(this.#failure ?? new OpenError('closed', 'the peer gave up'));
    return { entry, window };
  }

  dismiss(offer: Offer): void {
    this.#unanswered -= 1;
    this.#over.offer = offer;
    this.#offers.delete(offer.id);
  }

  // --- frames ---

  open(id: number, payload: Buffer): void {
    if (id % 2 === this.#nextId % 2 || id <= this.#lastPeerId || id > MAXIMUM_STREAM_ID) {
      throw new MuxError('wrong-stream', `the peer may not open stream ${id}`);
    }
    if (this.#peerLeaving) throw new MuxError('wrong-state', 'OPEN after GOAWAY');
    const asked = decodeOpen(payload);
    this.#lastPeerId = id;
    if (asked.request === undefined) {
      const detail = `the destination agent is of an older version, and knows no ${asked.unknown}`;
      this.#refuse(id, { code: 'no-instance', rule: '', revision: 0, detail });
      return;
    }
    if (this.size >= this.#limits.streams || this.#unanswered >= this.#limits.offers) {
      this.#refuse(id, { code: 'overloaded', rule: '', revision: 0, detail: 'too many streams in one tunnel' });
      return;
    }
    const offer = new Offer(this, id, asked.request, asked.window);
    this.#offers.set(id, offer);
    this.#unanswered += 1;
    this.#events.offered(offer);
  }

  opened(id: number, payload: Buffer): void {
    const opening = this.#openings.get(id);
    if (opening === undefined) {
      this.#requireKnown(id);
      return;
    }
    // Until it keeps the protocol it is not answered, and fails with the tunnel.
    const credit = payload.readUInt32BE(0);
    if (credit > MAXIMUM_CREDIT) throw new MuxError('window-overflow', 'more credit than a window can hold');
    if (credit < opening.early) throw new MuxError('window-overrun', 'a window smaller than what it was opened with');
    this.#takeOpening(id);
    const { entry } = this.#enter(id, opening.request, credit - opening.early, { promised: opening.window });
    opening.events.opened(entry, opening.early);
  }

  refused(id: number, payload: Buffer): void {
    const refusal = decodeRefusal(payload);
    const opening = this.#takeOpening(id);
    if (opening === undefined) {
      this.#requireKnown(id);
      return;
    }
    this.#budget.release(opening.window);
    opening.events.refused(refusal);
    this.#maybeDrained();
  }

  data(id: number, piece: Buffer, owned: boolean): void {
    (this.#entries.get(id) ?? this.#offers.get(id) ?? this.#entryOf(id))?.receiveData(piece, owned);
  }

  window(id: number, credit: number): void {
    this.#entryOf(id)?.receiveCredit(credit);
  }

  fin(id: number): void {
    this.#entryOf(id)?.receiveFin();
  }

  reset(id: number): void {
    const offer = this.#offers.get(id);
    if (offer !== undefined) {
      this.#offers.delete(id);
      offer.abandon();
      this.#maybeDrained();
      return;
    }
    this.#entryOf(id)?.receiveReset();
  }

  datagram(id: number, payload: Buffer): void {
    this.#entryOf(id)?.receiveDatagram(payload);
  }

  ping(token: Buffer): void {
    this.scheduler.control(FRAME.pong, 0, token);
  }

  pong(token: Buffer): void {
    this.#events.pong(token);
  }

  rekey(): void {
    this.#events.rekey();
  }

  handshake1(message: Buffer): void {
    this.#events.handshake1(message);
  }

  handshake2(message: Buffer): void {
    this.#events.handshake2(message);
  }

  switchKeys(): void {
    this.#events.switchKeys();
  }

  goAway(): void {
    if (this.#peerLeaving) throw new MuxError('wrong-state', 'a second GOAWAY');
    this.#peerLeaving = true;
    this.leave();
    this.#maybeDrained();
  }

  // --- inside ---

  #enter(
    id: number,
    request: OpenRequest,
    credit: number,
    { promised, early }: { readonly promised?: number; readonly early?: ByteQueue | undefined },
  ) {
    if (request.protocol === 'udp') {
      const entry = new DatagramFlow(this, id);
      this.#entries.set(id, entry);
      return { entry, window: 0 };
    }
    const window = promised ?? this.#budget.takeInitial();
    const entry = new MuxStream(this, id, new ReceiveWindow(this.#budget, window, this.#now()), credit, early);
    this.#entries.set(id, entry);
    return { entry, window };
  }

  #refuse(id: number, refusal: Refusal): void {
    this.scheduler.control(FRAME.refused, id, encodeRefusal(refusal));
  }

  #takeOpening(id: number): Opening | undefined {
    const opening = this.#openings.get(id);
    if (opening === undefined) return undefined;
    this.#over.opening = opening;
    this.#openings.delete(id);
    opening.data?.leave();
    return opening;
  }

  /** Behind its OPEN, as far as it may go: all that went is the beginning of what was said. */
  #sendEarly(id: number, opening: Opening, piece: Buffer): void {
    const part = piece.subarray(0, MAXIMUM_EARLY - opening.early);
    if (part.length > 0 && this.scheduler.takes(part.length)) {
      this.scheduler.control(FRAME.data, id, part);
      // What filled a batch has sealed it, and lies in the next.
      const { batches } = this.scheduler;
      if (batches !== opening.batch) opening.sealed = opening.early;
      opening.batch = batches;
      opening.early += part.length;
      if (part.length === piece.length && opening.early < MAXIMUM_EARLY) return;
    }
    opening.data?.leave();
  }

  /** Undefined where it may have been, and ended. Throws MuxError. */
  #entryOf(id: number): MuxStream | DatagramFlow | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) this.#requireKnown(id);
    return entry;
  }

  /**
   * A frame for a stream that is not there: fine when it may have been, because the peer can not know yet that it ended;
   * else the peer makes streams up.
   */
  #requireKnown(id: number): void {
    const known = id % 2 === this.#nextId % 2 ? id < this.#nextId && id > 0 : id <= this.#lastPeerId && id > 0;
    if (!known || this.#openings.has(id) || this.#offers.has(id)) {
      throw new MuxError('wrong-state', `a frame for stream ${id}, which is not open`);
    }
  }

  #maybeDrained(): void {
    if (!this.#leaving || !this.#peerLeaving || this.size > 0 || this.stopped || this.#drainedTold) return;
    this.#drainedTold = true;
    this.#events.drained();
  }
}
