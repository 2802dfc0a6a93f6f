/**
 * The tunnels to one peer: a small pool that grows under load. Dialling is single-flight; a peer that could not be
 * reached is not dialled again for a moment, so that callers fail fast, and soon is, so that it is found when it is back.
 */
import type { PeerTunnels as PeerTraffic } from '@weft/proto';
import { Deadline } from '../bytes/deadline.ts';
import type { TunnelPeer } from '../words/peer.ts';
import type { TunnelContext } from './context.ts';
import { type Dialled, dialPeer } from './dialer.ts';
import { type TunnelEndedError, UnreachableError } from './errors.ts';
import { Link, type LinkOwner } from './link.ts';
import type { ShownSize } from './path-size.ts';
import type { UnreachedPeer } from './types.ts';

/** Tunnels that were left and go on with what they carry; with so many nothing more is left, for each holds a place at both ends. */
const MOST_LEFT = 3;
/** What is known of a peer that nobody tries any more grows old. */
const UNREACHED_MS = 600_000;

export class PeerPool {
  readonly agentId: string;
  /** A tunnel that finds UDP silent goes by what those before it found. */
  readonly shown: ShownSize = { size: 0, at: 0 };
  readonly #context: TunnelContext;
  readonly #owner: LinkOwner;
  readonly #lifetime: AbortSignal;
  readonly #links = new Set<Link>();
  readonly #idleSince = new Map<Link, number>();
  /** Of tunnels that ended. */
  readonly #ended = { bytesSent: 0, bytesReceived: 0 };
  /** As the peer was called last. */
  #host = '';
  #dialling: Promise<Link> | undefined;
  /** The dial under way. */
  #attempt: Attempt | undefined;
  /** As the directory had the peer when its tunnels were looked at last. */
  #known: TunnelPeer | undefined;
  #failure: { readonly until: number; readonly pause: number; readonly error: UnreachableError } | undefined;
  /** Since it failed first, until there is a tunnel again. */
  #unreached: { readonly since: number; readonly last: number; readonly error: UnreachableError } | undefined;
  /** This host's own want of files, which says nothing of the peer. */
  #shortage: { readonly until: number; readonly error: UnreachableError } | undefined;

  constructor(context: TunnelContext, owner: LinkOwner, agentId: string, lifetime: AbortSignal) {
    this.#context = context;
    this.#owner = owner;
    this.agentId = agentId;
    this.#lifetime = lifetime;
  }

  get links(): ReadonlySet<Link> {
    return this.#links;
  }

  get empty(): boolean {
    return this.#links.size === 0 && this.#dialling === undefined && this.#failure === undefined;
  }

  /** Tunnels that the peer dialled. */
  get accepted(): number {
    let count = 0;
    for (const link of this.#links) if (!link.initiator) count += 1;
    return count;
  }

  add(link: Link): void {
    this.#links.add(link);
    this.#unreached = undefined;
    this.#known ??= link.peer;
    this.#host = link.peer.host;
  }

  /** Undefined before the first tunnel. */
  get traffic(): PeerTraffic | undefined {
    if (this.#host === '') return undefined;
    let { bytesSent, bytesReceived } = this.#ended;
    let shortest = Number.POSITIVE_INFINITY;
    let pathSize = 0;
    for (const link of this.#links) {
      bytesSent += link.bytesSent;
      bytesReceived += link.bytesReceived;
      shortest = Math.min(shortest, link.liveness.shortest ?? shortest);
      pathSize = link.pathSize === 0 ? pathSize : Math.min(link.pathSize, pathSize || link.pathSize);
    }
    const roundTripUs = Number.isFinite(shortest) ? Math.max(1, Math.round(shortest * 1_000)) : 0;
    return { host: this.#host, tunnels: this.#links.size, roundTripUs, bytesSent, bytesReceived, pathSize };
  }

  /** Undefined while there is a tunnel, and where nobody tried of late. */
  get unreached(): UnreachedPeer | undefined {
    const peer = this.#context.directory.peerById(this.agentId);
    const now = this.#context.now();
    if (peer === undefined || this.#unreached === undefined || this.#links.size > 0) return undefined;
    const { since, last, error } = this.#unreached;
    if (now - last > UNREACHED_MS) return undefined;
    return { host: peer.host, addresses: peer.endpoints, forMs: now - since, cause: error.message };
  }

  /**
   * The directory may have changed. A peer that moved left its tunnels and the places where it is dialled, and nothing tells:
   * the dial under way begins anew, and the tunnels are asked for an answer.
   */
  recheck(): void {
    this.reached();
    const peer = this.#context.directory.peerById(this.agentId);
    this.#host = peer?.host ?? this.#host;
    if (peer !== undefined && this.#attempt !== undefined && moved(this.#attempt.peer, peer)) {
      this.#attempt.outdated = true;
      this.#attempt.deadline.end(new UnreachableError('closed', `${peer.host} is elsewhere`));
    }
    // An address is gone, and with it what was connected to it.
    if (peer !== undefined && this.#known !== undefined && moved(peer, this.#known))
      for (const link of this.#links) link.liveness.doubt();
    this.#known = peer;
  }

  /** The peer is there: whatever was held against it is forgotten. */
  reached(): void {
    this.#failure = undefined;
  }

  remove(link: Link): void {
    this.#links.delete(link);
    this.#ended.bytesSent += link.bytesSent;
    this.#ended.bytesReceived += link.bytesReceived;
    this.#idleSince.delete(link);
  }

  /** A tunnel was taken for dead: whoever has another peer goes there, until this one is reached. */
  fellSilent(cause: TunnelEndedError): void {
    const error = new UnreachableError('tunnel-lost', `no tunnel to ${this.#host}`, { cause });
    this.#failure ??= { until: this.#context.now(), pause: this.#context.settings.backoffFirst, error };
    this.#note(error);
  }

  /** See Tunnels. */
  promising(): boolean {
    if (this.#best() !== undefined || (this.#links.size === 0 && this.#failure === undefined)) return true;
    if (this.#dialled() < this.#context.settings.poolSize) this.#grow();
    return false;
  }

  /** Whether the peer is there, however slow its tunnels are. */
  get heard(): boolean {
    for (const { liveness } of this.#links) if (liveness.fresh) return true;
    return false;
  }

  /** A tunnel to put a flow into, dialled when there is none. `beside`: of datagrams, which pass beside it where they can. Throws UnreachableError, or the deadline's reason. */
  async acquire(deadline: Deadline, beside: boolean = false): Promise<Link> {
    const best = this.#best(undefined, beside ? loadOfDatagrams : load);
    if (best !== undefined) {
      if (best.busy && this.#dialled() < this.#context.settings.poolSize) this.#grow();
      return best;
    }
    const pausing = this.#pausing();
    if (this.#dialling === undefined && pausing !== undefined) return this.#heardOr(pausing);
    if (this.#dialled() >= this.#context.settings.dialledPerPeer) return this.#lastResort();
    try {
      return await deadline.race(this.#dial());
    } catch (error) {
      deadline.throwIfOver();
      return this.#heardOr(error);
    }
  }

  /** One that was dialled here, which shows that the peer can be. Throws UnreachableError, or the deadline's reason. */
  async acquireDialled(deadline: Deadline): Promise<Link> {
    const best = this.#best((link) => link.usable && link.initiator);
    if (best !== undefined) return best;
    const pausing = this.#pausing();
    if (this.#dialling === undefined && pausing !== undefined) throw pausing;
    return await deadline.race(this.#dial());
  }

  tick(): void {
    for (const link of [...this.#links]) link.tick();
    const now = this.#context.now();
    if (this.#failure !== undefined && now > this.#failure.until + this.#context.settings.backoffLast * 4) {
      this.#failure = undefined;
    }
    this.#closeIdle(now);
  }

  /** Puts no more flows into the tunnels of now, where few were left before and the peer has places for others. */
  leave(): void {
    const left = [...this.#links].filter(({ mux }) => mux.leaving).length;
    if (left >= MOST_LEFT || this.accepted > this.#context.settings.acceptedPerPeer / 2) return;
    for (const link of this.#links) link.mux.leave();
  }

  closeAll(cause: TunnelEndedError): void {
    this.#attempt?.deadline.end(cause);
    for (const link of [...this.#links]) link.close(cause);
  }

  /** A peer that answers no pings, or leaves each tunnel and never ends it, is not dialled without end. */
  #lastResort(): Link {
    const link = this.#best((each) => each.open);
    if (link === undefined) throw new UnreachableError('tunnel-lost', `no tunnel to ${this.agentId} takes flows`);
    return link;
  }

  /** Where none can be dialled: one of which an answer is overdue, but which is heard. Throws the error where there is none. */
  #heardOr(error: unknown): Link {
    const heard = this.#best((link) => link.open && link.liveness.fresh);
    if (heard === undefined) throw error;
    return heard;
  }

  /** The one with the least to carry; one that is not busy if there is any. */
  #best(fits: (link: Link) => boolean = (link) => link.usable, weigh = load): Link | undefined {
    let best: Link | undefined;
    for (const link of this.#links) {
      if (!fits(link)) continue;
      if (best === undefined || weigh(link) < weigh(best)) best = link;
    }
    return best;
  }

  #dialled(): number {
    return this.#links.size - this.accepted;
  }

  /** One more, for flows to come; this one does not wait for it. */
  #grow(): void {
    if (this.#dialling !== undefined || this.#pausing() !== undefined) return;
    this.#dial().catch(() => undefined);
  }

  /** What the last dial ended with, while none is made again. */
  #pausing(): UnreachableError | undefined {
    const now = this.#context.now();
    return [this.#shortage, this.#failure].find((held) => held !== undefined && now < held.until)?.error;
  }

  #dial(): Promise<Link> {
    this.#dialling ??= this.#dialOnce().finally(() => {
      this.#dialling = undefined;
    });
    return this.#dialling;
  }

  async #dialOnce(): Promise<Link> {
    for (;;) {
      const peer = this.#context.directory.peerById(this.agentId);
      if (peer === undefined)
        throw new UnreachableError('unknown-peer', `${this.agentId} is no member of this network`);
      this.#lifetime.throwIfAborted();
      const attempt: Attempt = { peer, deadline: new Deadline(this.#context.settings.dialTimeout), outdated: false };
      this.#attempt = attempt;
      try {
        return this.#start(peer, await dialPeer(this.#context, peer, attempt.deadline));
      } catch (error) {
        if (!attempt.outdated) throw this.#held(peer, error);
      } finally {
        attempt.deadline.close();
        this.#attempt = undefined;
      }
    }
  }

  /** The peer is not dialled again for a moment. */
  #held(peer: TunnelPeer, error: unknown): UnreachableError {
    const { backoffFirst, backoffLast, shortagePause } = this.#context.settings;
    const pause = Math.min(this.#failure === undefined ? backoffFirst : this.#failure.pause * 2, backoffLast);
    const now = this.#context.now();
    const known =
      error instanceof UnreachableError
        ? error
        : new UnreachableError('connect-failed', `no tunnel to ${peer.host}`, { cause: error });
    if (known.code === 'no-file') this.#shortage = { until: now + shortagePause, error: known };
    else {
      this.#failure = { until: now + pause, pause, error: known };
      this.#note(known);
    }
    this.#context.limitedLog.warn('tunnel-dial-failed', known.code, { peer: peer.host, err: known });
    return known;
  }

  #note(error: UnreachableError): void {
    const last = this.#context.now();
    this.#unreached = { since: this.#unreached?.since ?? last, last, error };
  }

  #start(asked: TunnelPeer, dialled: Dialled): Link {
    const { established, address } = dialled;
    // The directory may have changed while the handshake ran.
    const peer = this.#context.directory.peerById(this.agentId);
    if (this.#lifetime.aborted || peer === undefined || !samePeer(asked, peer)) {
      established.wire.conduit.reset();
      throw new UnreachableError('unknown-peer', `${asked.host} is no member of this network any more`);
    }
    const link = Link.start(this.#context, this.#owner, established, address, this.shown);
    if (link.over) throw new UnreachableError('tunnel-lost', `the tunnel to ${asked.host} ended at once`);
    return link;
  }

  /**
   * Each side closes only what it dialled, and never the tunnel it prefers: both prefer the same, so that two sides
   * that tidy at once do not end with none.
   */
  #closeIdle(now: number): void {
    const keep = this.#preferred();
    for (const link of this.#links) {
      if (link.mux.size > 0 || !link.initiator || link === keep || !link.usable) {
        this.#idleSince.delete(link);
        continue;
      }
      const since = this.#idleSince.get(link);
      if (since === undefined) this.#idleSince.set(link, now);
      else if (now - since >= this.#context.settings.extraIdle) link.mux.leave();
    }
  }

  /** The oldest one dialled by the side with the smaller key, else the oldest. */
  #preferred(): Link | undefined {
    const own = this.#context.keys.publicKey;
    let preferred: Link | undefined;
    let rank = Number.POSITIVE_INFINITY;
    for (const link of this.#links) {
      if (!link.usable) continue;
      const bySmaller = link.initiator === own.compare(link.peer.tunnelKey) < 0;
      const linkRank = (bySmaller ? 0 : 1e15) + link.openedAt;
      if (linkRank < rank) {
        rank = linkRank;
        preferred = link;
      }
    }
    return preferred;
  }
}

interface Attempt {
  /** As it was when the dial began. */
  readonly peer: TunnelPeer;
  readonly deadline: Deadline;
  outdated: boolean;
}

/** Whether it may be where it was not before. */
function moved(before: TunnelPeer, peer: TunnelPeer): boolean {
  return peer.endpoints.some((endpoint) => !before.endpoints.includes(endpoint));
}

/** Whether a tunnel made for `a` still stands for `b`. */
export function samePeer(a: TunnelPeer, b: TunnelPeer): boolean {
  return (
    a.agentId === b.agentId && Buffer.compare(a.tunnelKey, b.tunnelKey) === 0 && Buffer.compare(a.psk, b.psk) === 0
  );
}

/** Unsent bytes, after whether bulk moves at all. */
function load(link: Link): number {
  return (link.busy ? 1e15 : 0) + link.backlog + link.mux.size;
}

/** What goes beside a tunnel waits for nothing in it. */
function loadOfDatagrams(link: Link): number {
  return (link.pathSize === 0 ? 1e16 : 0) + load(link);
}
