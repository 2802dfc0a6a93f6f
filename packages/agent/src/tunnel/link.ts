/** One tunnel that is up: records in and out of a connection, the mux on them, and the UDP path beside it. */
import { whenServed } from '../bytes/datagrams.ts';
import type { DatagramFlow } from '../protocol/mux/datagram-flow.ts';
import { Mux, type MuxEvents } from '../protocol/mux/mux.ts';
import type { Offer, OpeningEvents } from '../protocol/mux/opening.ts';
import { BACKLOG_LIMIT, type RecordOutput } from '../protocol/mux/scheduler.ts';
import { MAXIMUM_PLAINTEXT } from '../protocol/record/format.ts';
import { SHORT_RECORD } from '../protocol/record/in-place.ts';
import { RecordOpener, RecordSealer } from '../protocol/record/record.ts';
import type { EarlyData, OpenRequest } from '../words/opening.ts';
import type { TunnelPeer } from '../words/peer.ts';
import type { TunnelContext } from './context.ts';
import { DatagramPath } from './datagram-path.ts';
import type { DatagramAddress } from './datagram-port.ts';
import { isViolation, TunnelEndedError } from './errors.ts';
import { type Established, NO_DATAGRAMS } from './handshake.ts';
import { offerInbound } from './inbound-offer.ts';
import { Liveness } from './liveness.ts';
import type { ShownSize } from './path-size.ts';
import { Renewal } from './renewal.ts';
import { TunnelDatagrams } from './tunnel-datagrams.ts';
import type { Wire } from './wire.ts';

/** Milliseconds that the peer has for ending its half. */
const LINGER = 1_000;
/** Plaintext of the first record of the side that dialled: until it opens, its sender may be a replay, and is held to what takes no block. */
const FIRST_RECORD = SHORT_RECORD;

/** Bytes that a write takes while it waits, beside its own: a peer that asks and reads nothing makes many of a few bytes. */
const WRITE_COST = 1024;

export interface LinkOwner {
  /** The peer has proved that it is there now, and not a replay. Comes once, at once on the side that dialled. */
  confirmed(link: Link): void;
  /** The tunnel is over. Comes exactly once. */
  ended(link: Link, cause: TunnelEndedError): void;
}

export class Link implements RecordOutput, MuxEvents {
  readonly initiator: boolean;
  readonly peer: TunnelPeer;
  /** What the peer understands. */
  readonly capability: number;
  readonly mux: Mux;
  readonly liveness: Liveness;
  readonly openedAt: number;
  readonly #context: TunnelContext;
  readonly #owner: LinkOwner;
  readonly #wire: Wire;
  readonly #sealer: RecordSealer;
  readonly #opener: RecordOpener;
  readonly #renewal: Renewal;
  readonly #path: DatagramPath | undefined;
  #confirmed: boolean;
  #streamSent = 0;
  #streamReceived = 0;
  #flushing: boolean = false;
  /** A record could not be made, so none after it opens. */
  #unsealed: boolean = false;
  #ended: TunnelEndedError | undefined;

  /** `dialled` is the address that answered; undefined on the side that was dialled. */
  constructor(
    context: TunnelContext,
    owner: LinkOwner,
    established: Established,
    path: DatagramPath | undefined,
    dialled: DatagramAddress | undefined,
  ) {
    const { wire, session, peer, capability } = established;
    this.#context = context;
    this.#owner = owner;
    this.#wire = wire;
    this.#path = path;
    this.peer = peer;
    this.capability = capability;
    this.initiator = dialled !== undefined;
    this.#confirmed = this.initiator;
    this.openedAt = context.now();
    this.#sealer = new RecordSealer(session.send, 0, context.inPlace);
    this.#opener = new RecordOpener(
      session.receive,
      (pieces, owned) => this.#receiveRecord(pieces, owned),
      0,
      context.inPlace,
    );
    if (!this.#confirmed) this.#opener.limit = FIRST_RECORD;
    this.mux = new Mux({ initiator: this.initiator, output: this, events: this, now: context.now });
    this.liveness = new Liveness(context, {
      ping: (token) => this.mux.sendPing(token),
      roundTrip: (milliseconds) => {
        this.mux.roundTrip = milliseconds;
      },
      carrying: () => this.mux.size > 0 || wire.conduit.backlog > 0,
      stuck: () => wire.conduit.backlog > 0,
      askBeside: () => path?.ask(),
      dead: () => this.close(new TunnelEndedError('dead', 'the peer is silent')),
    });
    this.#renewal = new Renewal(
      context,
      {
        initiator: this.initiator,
        capability,
        scheduler: this.mux.scheduler,
        sealer: this.#sealer,
        opener: this.#opener,
        peer: () => context.directory.peerById(peer.agentId),
        offer: () => path?.offer() ?? NO_DATAGRAMS,
        datagrams: (renewed, own, theirs) => path?.add(renewed, own, theirs) ?? { send: () => undefined },
      },
      session,
    );
    path?.add(session, established.ownOffer, established.peerOffer).send();
  }

  /** Makes the link and its UDP path, and lets bytes flow. */
  static start(
    context: TunnelContext,
    owner: LinkOwner,
    established: Established,
    dialled: DatagramAddress | undefined,
    shown: ShownSize,
  ): Link {
    const port = context.datagrams;
    // The path is made first and calls nothing until it is in use.
    const target: { link: Link | undefined } = { link: undefined };
    const flushPath = () => path?.flush();
    const path =
      port === undefined
        ? undefined
        : new DatagramPath(
            {
              port,
              now: context.now,
              newKey: context.inPlace?.newKey,
              datagram: (id, payload) => target.link?.mux.receivePacketData(id, payload) ?? false,
              takes: (id) => target.link?.mux.hasFlow(id) ?? false,
              dropped: () => {
                context.counters.datagramsDropped += 1;
              },
              heard: () => target.link?.liveness.heardBeside(),
              violated: (message) => target.link?.violated('malformed', new Error(message)),
              failed: (error) => target.link?.failSoon('this agent failed to seal or open a packet', error),
              flushSoon: () => {
                if (!whenServed(flushPath)) target.link?.flushSoon();
              },
            },
            dialled,
            shown,
          );
    const link = new Link(context, owner, established, path, dialled);
    target.link = link;
    link.#begin(established.rest);
    return link;
  }

  // --- the owner's side ---

  get over(): boolean {
    return this.#ended !== undefined;
  }

  /** Why it ended before the peer proved to be there. */
  get unproved(): TunnelEndedError | undefined {
    return this.#confirmed ? undefined : this.#ended;
  }

  /** That the connection came from, or to. */
  get localAddress(): string | undefined {
    return this.#wire.conduit.localAddress;
  }

  /** Whether new flows may be put here, if need be. */
  get open(): boolean {
    return this.#confirmed && !this.over && this.mux.takesStreams;
  }

  /** Whether it is a good place for them. */
  get usable(): boolean {
    return this.open && !this.liveness.suspect;
  }

  /** Whether a flow put here would wait behind others. */
  get busy(): boolean {
    return this.backlog >= BACKLOG_LIMIT / 2 || this.liveness.busy;
  }

  /** Sealed bytes, in the connection and beside it. */
  get bytesSent(): number {
    return this.#streamSent + (this.#path?.bytesSent ?? 0);
  }

  get bytesReceived(): number {
    return this.#streamReceived + (this.#path?.bytesReceived ?? 0);
  }

  /** Bytes of UDP payload that pass beside the connection; 0: datagrams go inside it. */
  get pathSize(): number {
    return this.#path?.size ?? 0;
  }

  get remoteAddress(): string | undefined {
    return this.#wire.conduit.remoteAddress;
  }

  /** Whether packets pass beside the connection now. */
  async passesPackets(waitMs: number): Promise<boolean> {
    return (await this.#path?.passes(waitMs)) ?? false;
  }

  request(request: OpenRequest, events: OpeningEvents, data?: EarlyData): () => number {
    return this.mux.request(request, events, data);
  }

  conduitOf(flow: DatagramFlow): TunnelDatagrams {
    const dropped = () => {
      this.#context.counters.datagramsDropped += 1;
    };
    return new TunnelDatagrams(flow, this.#path, dropped, this.liveness);
  }

  tick(): void {
    if (this.over) return;
    try {
      this.liveness.tick();
      if (this.over || !this.#confirmed) return;
      this.#renewal.tick();
      this.#path?.tick();
    } catch (error) {
      this.#failed('this agent failed to tend a tunnel', error);
    }
  }

  /** Our own fault: it costs this tunnel, and no other. */
  #failed(message: string, error: unknown): void {
    if (this.over) return;
    const cause = new TunnelEndedError('failed', message, { cause: error });
    this.#context.logger.error({ event: 'tunnel-failed', peer: this.peer.host, err: cause }, cause.message);
    this.close(cause);
  }

  /** The mux may be in the midst of its turn, and a program may be writing. */
  failSoon(message: string, error: unknown): void {
    queueMicrotask(() => this.#failed(message, error));
  }

  close(cause: TunnelEndedError): void {
    if (this.#ended !== undefined) return;
    this.#ended = cause;
    this.#opener.close();
    this.#sealer.close();
    this.#path?.close();
    // An orderly end lets what was sealed reach the peer; else nothing more is to be said.
    const { conduit } = this.#wire;
    if (cause.code === 'idle' || cause.code === 'shutdown') {
      conduit.end();
      // A peer that does not end its half would keep the connection.
      setTimeout(() => conduit.reset(), LINGER).unref();
    } else {
      conduit.reset();
    }
    this.liveness.close();
    this.mux.fail(cause);
    this.#owner.ended(this, cause);
  }

  /** The peer broke the protocol; but until it is confirmed anybody may have, who has heard its first message on the way. */
  violated(reason: string, error: Error): void {
    if (this.over) return;
    if (!this.#confirmed) {
      this.close(new TunnelEndedError('replayed-or-forged', error.message, { cause: error }));
      return;
    }
    this.#context.counters.violations += 1;
    this.#context.limitedLog.warn('tunnel-violation', reason, { peer: this.peer.host, err: error });
    this.close(new TunnelEndedError('violation', error.message, { cause: error }));
  }

  // --- records out ---

  get backlog(): number {
    const { backlog, writes } = this.#wire.conduit;
    return backlog + writes * WRITE_COST;
  }

  record(pieces: readonly Buffer[]): void {
    if (this.over || this.#unsealed) return;
    try {
      this.#wire.conduit.writeTogether((emit) => {
        this.#sealer.seal(pieces, (piece, owned) => {
          this.#context.counters.bytesSent += piece.length;
          this.#streamSent += piece.length;
          if (owned) this.#context.young.allocated(piece.length);
          else this.#context.young.passed(piece.length);
          this.liveness.said(piece.length);
          emit(piece, owned);
        });
      });
    } catch (error) {
      this.#unsealed = true;
      this.failSoon('this agent failed to make a record', error);
    }
  }

  flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    // Alone, a message waits for nothing; in a crowd, for those of one more turn. A seal and a write cost more than it gains.
    const { crowded, expecting } = this.mux.scheduler;
    if (crowded || expecting) setImmediate(setImmediate, this.#flushNow);
    else setImmediate(this.#flushNow);
  }

  readonly #flushNow = (): void => {
    this.#flushing = false;
    this.#flush();
  };

  #flush(): void {
    if (this.over) return;
    this.mux.flush();
    this.#path?.flush();
    if (this.#renewal.rekeyDue) this.#renewal.rekey();
  }

  // --- records in ---

  #begin(rest: Buffer): void {
    const receiver = {
      data: (piece: Buffer) => this.#receive(piece),
      drain: () => this.#flush(),
      over: (cause: Error | undefined) =>
        this.close(new TunnelEndedError('closed', 'the peer closed the tunnel', { cause })),
    };
    this.#wire.receiveWith(receiver);
    if (this.initiator) {
      // The first record proves to the peer that this handshake was no replay; it measures the way as well.
      this.liveness.ping();
      this.#owner.confirmed(this);
    }
    if (rest.length > 0) this.#receive(rest);
  }

  #receive(piece: Buffer): void {
    if (this.over) return;
    this.#context.counters.bytesReceived += piece.length;
    this.#streamReceived += piece.length;
    this.liveness.heard(piece.length);
    try {
      this.#opener.push(piece);
    } catch (error) {
      if (isViolation(error)) {
        this.violated(error.code, error);
        return;
      }
      this.#failed('this agent failed to take a record', error);
    }
  }

  #receiveRecord(pieces: readonly Buffer[], owned: boolean): void {
    for (const { length } of pieces) {
      if (owned) this.#context.young.allocated(length);
      else this.#context.young.passed(length);
    }
    if (!this.#confirmed) {
      this.#confirmed = true;
      this.#opener.limit = MAXIMUM_PLAINTEXT;
      this.#owner.confirmed(this);
      if (this.over) return;
      // Windows are given by the side that receives, and grow by its own measure of the way.
      this.liveness.ping();
    }
    this.mux.receive(pieces, owned);
  }

  // --- what the mux says ---

  offered(offer: Offer): void {
    const { directory, inbound } = this.#context;
    const peer = directory.peerById(this.peer.agentId) ?? this.peer;
    try {
      offerInbound(offer, peer, inbound, (flow) => this.conduitOf(flow));
    } catch (err) {
      // Our own fault: it costs the peer this flow, not its tunnel.
      this.#context.logger.error({ event: 'inbound-failed', peer: peer.host, err }, 'an inbound flow failed');
      const refusal = { code: 'no-instance', rule: '', revision: 0, detail: 'the destination agent failed' } as const;
      if (!offer.answered) offer.refuse(refusal);
    }
  }

  pong(token: Buffer): void {
    this.liveness.pong(token);
  }

  rekey(): void {
    this.#renewal.receiveRekey();
  }

  handshake1(message: Buffer): void {
    this.#renewal.receiveHandshake1(message);
  }

  handshake2(message: Buffer): void {
    this.#renewal.receiveHandshake2(message);
  }

  switchKeys(): void {
    this.#renewal.receiveSwitch();
  }

  drained(): void {
    this.#flush();
    this.close(new TunnelEndedError('idle', 'both ends are done with this tunnel'));
  }
}
