/** Takes connections on the tunnel address through their handshake, a bounded number at a time. */

import { addressGroup } from '@weft/proto/bounds';
import { Deadline } from '../bytes/deadline.ts';
import { type ConduitListener, type ListenOptions, listenConduits, type Remote } from '../bytes/socket-listen.ts';
import { GREATEST_PACKET_LIMIT } from '../protocol/datagram/format.ts';
import type { WireConduit } from '../words/conduit.ts';
import type { TunnelContext } from './context.ts';
import { TunnelEndedError, UnreachableError } from './errors.ts';
import { type Established, NO_DATAGRAMS, respond } from './handshake.ts';
import type { Link } from './link.ts';

export interface AcceptorOwner {
  /** Makes a link of the connection; it is not confirmed yet. Undefined when it is not wanted. */
  established(established: Established): Link | undefined;
}

/** A connection that is no confirmed tunnel yet. */
interface Pending {
  readonly group: string;
  readonly deadline: Deadline;
  evicted: boolean;
}

export class Acceptor {
  readonly #context: TunnelContext;
  readonly #owner: AcceptorOwner;
  readonly #lifetime: AbortSignal;
  readonly #listener: ConduitListener;
  /** Oldest first. */
  readonly #pending = new Set<Pending>();
  readonly #pendingByGroup = new Map<string, number>();
  /** Links that have not proved yet that they are no replay. */
  readonly #unconfirmed = new Map<Link, () => void>();

  constructor(context: TunnelContext, owner: AcceptorOwner, lifetime: AbortSignal, listener: ConduitListener) {
    this.#context = context;
    this.#listener = listener;
    this.#owner = owner;
    this.#lifetime = lifetime;
  }

  /**
   * A new connection: when all places are taken the oldest makes room, and when its address has its share the oldest of that address: an
   * honest peer is done in a round trip or two, so those that sit longest are those of a flood, be it of the same address as an honest peer.
   */
  connection(conduit: WireConduit, remote: Remote): void {
    // Nobody has proved yet to be a peer: what is kept for tunnels is not for strangers.
    if (this.#context.files?.spares(remote.descriptor) === false) {
      conduit.reset();
      this.#reject('too-many-files', remote, undefined);
      return;
    }
    const { handshakes, handshakesPerAddress } = this.#context.settings;
    const group = addressGroup(remote.address);
    if (this.#lifetime.aborted) {
      conduit.reset();
      return;
    }
    if ((this.#pendingByGroup.get(group) ?? 0) >= handshakesPerAddress) this.#makeRoom(group);
    else if (this.#pending.size >= handshakes) this.#makeRoom(undefined);
    const deadline = new Deadline(this.#context.settings.handshakeTimeout);
    const pending: Pending = { group, deadline, evicted: false };
    this.#pending.add(pending);
    this.#pendingByGroup.set(group, (this.#pendingByGroup.get(group) ?? 0) + 1);
    void this.#handshake(conduit, remote, pending).finally(() => this.#leave(pending));
  }

  /** To be called when a link has proved itself, or ended: one that ended before is a handshake that failed. */
  settled(link: Link): void {
    this.#unconfirmed.get(link)?.();
  }

  close(): void {
    this.#listener.close();
    for (const { deadline } of this.#pending) deadline.end(new UnreachableError('closed', 'this agent stops'));
  }

  /** Of one group, or of all. */
  #makeRoom(group: string | undefined): void {
    for (const oldest of this.#pending) {
      if (group !== undefined && oldest.group !== group) continue;
      oldest.evicted = true;
      oldest.deadline.end(new UnreachableError('timeout', 'made room for a newer connection'));
      this.#leave(oldest);
      return;
    }
  }

  #leave(pending: Pending): void {
    if (!this.#pending.delete(pending)) return;
    pending.deadline.close();
    const left = (this.#pendingByGroup.get(pending.group) ?? 1) - 1;
    if (left > 0) this.#pendingByGroup.set(pending.group, left);
    else this.#pendingByGroup.delete(pending.group);
  }

  async #handshake(conduit: WireConduit, remote: Remote, pending: Pending): Promise<void> {
    const { deadline } = pending;
    const index = this.#context.datagrams?.newIndex();
    const ownOffer = index === undefined ? NO_DATAGRAMS : { index, packetLimit: GREATEST_PACKET_LIMIT };
    try {
      const established = await respond(this.#context, conduit, ownOffer, deadline);
      const link = this.#owner.established(established);
      if (link !== undefined) await this.#confirmation(link, deadline);
    } catch (error) {
      this.#context.counters.handshakesFailed += 1;
      const reason = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
      this.#reject(pending.evicted ? 'evicted' : deadline.late ? 'timeout' : reason, remote, error);
    }
  }

  /**
   * Resolves when the link's first record proved its peer; the caller's place among handshakes is kept until then. Rejects with why it did not: that
   * was done at the caller's address, and says nothing of the peer.
   */
  #confirmation(link: Link, deadline: Deadline): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#unconfirmed.delete(link);
        deadline.off(onEnd);
        if (link.unproved === undefined) resolve();
        else reject(link.unproved);
      };
      const onEnd = (): void => {
        this.#unconfirmed.delete(link);
        reject(new UnreachableError('timeout', 'the first record did not come'));
        link.close(new TunnelEndedError('closed', 'the first record did not come'));
      };
      this.#unconfirmed.set(link, settle);
      deadline.onEnd(onEnd);
      if (link.over) settle();
    });
  }

  #reject(reason: string, remote: Remote, error: unknown): void {
    this.#context.limitedLog.warn('tunnel-rejected', reason, { remote: remote.address, err: error });
  }
}

/** Listens for the acceptor; the port is the bound one. */
export function listenFor(
  acceptor: () => Acceptor | undefined,
  at: Omit<ListenOptions, 'onError'>,
  onError: (error: Error) => void,
): Promise<ConduitListener> {
  return listenConduits({ ...at, onError }, (conduit, remote) => {
    const taker = acceptor();
    if (taker === undefined) conduit.reset();
    else taker.connection(conduit, remote);
  });
}
