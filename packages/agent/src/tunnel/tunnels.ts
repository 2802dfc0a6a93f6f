/** All tunnels of this agent: accepts and dials peers, opens flows at them, and cuts those who are no members any more. */
import type { PeerTunnels as PeerTraffic, Permit } from '@weft/proto';
import type { Deadline } from '../bytes/deadline.ts';
import { DatagramFlow } from '../protocol/mux/datagram-flow.ts';
import { OpenError } from '../protocol/mux/errors.ts';
import { MuxStream } from '../protocol/mux/stream.ts';
import type { Conduit, DatagramConduit } from '../words/conduit.ts';
import type { EarlyData, FlowTarget, Opened, OpenRequest, PeerRefusal } from '../words/opening.ts';
import type { Acceptor } from './acceptor.ts';
import { afterCut } from './after-cut.ts';
import type { LinkCounters, TunnelContext } from './context.ts';
import { FlowCutError, TunnelEndedError, UnansweredError, UnreachableError } from './errors.ts';
import type { Established } from './handshake.ts';
import { Link, type LinkOwner } from './link.ts';
import { PeerPool, samePeer } from './peer-pool.ts';
import type { PathNow, Tunnels, UnreachedPeer } from './types.ts';

/** Milliseconds that an answer beside a tunnel is waited for, when somebody asks. */
const PACKET_ANSWER = 1_000;

type Answer =
  | { readonly opened: true; readonly entry: MuxStream | DatagramFlow; readonly link: Link; readonly early: number }
  | { readonly opened: false; readonly refusal: PeerRefusal };

const TOO_MANY = 'too-many-tunnels';
const LEFT = 'this host is no member of the network any more';

export class AgentTunnels implements Tunnels, LinkOwner {
  readonly #context: TunnelContext;
  readonly #lifetime = new AbortController();
  readonly #peers = new Map<string, PeerPool>();
  readonly #ticker: NodeJS.Timeout;
  #acceptor: Acceptor | undefined;
  #leaving: boolean = false;

  constructor(context: TunnelContext) {
    this.#context = context;
    this.#ticker = setInterval(() => this.#tick(), context.settings.tick);
  }

  /** Accepts connections with this from now on. */
  acceptWith(acceptor: Acceptor): void {
    this.#acceptor = acceptor;
  }

  get lifetime(): AbortSignal {
    return this.#lifetime.signal;
  }

  /** What passes between this agent and each peer that there was a tunnel to. */
  peerTraffic(): readonly PeerTraffic[] {
    return [...this.#peers.values()].flatMap(({ traffic }) => traffic ?? []);
  }

  /** Peers that were dialled in vain. */
  unreached(): readonly UnreachedPeer[] {
    return [...this.#peers.values()].flatMap(({ unreached }) => unreached ?? []);
  }

  get counters(): LinkCounters {
    return this.#context.counters;
  }

  async openStream(
    permit: Permit,
    target: FlowTarget,
    deadline: Deadline,
    data?: EarlyData,
  ): Promise<Opened<Conduit, PeerRefusal>> {
    const answer = await this.#open(target.agentId, requestOf(permit, target), deadline, data);
    if (!answer.opened) return answer;
    if (!(answer.entry instanceof MuxStream)) throw new TypeError('openStream is for TCP');
    return { opened: true, conduit: answer.entry, early: answer.early };
  }

  async openDatagrams(
    permit: Permit,
    target: FlowTarget,
    deadline: Deadline,
  ): Promise<Opened<DatagramConduit, PeerRefusal>> {
    const answer = await this.#open(target.agentId, requestOf(permit, target), deadline);
    if (!answer.opened) return answer;
    if (!(answer.entry instanceof DatagramFlow)) throw new TypeError('openDatagrams is for UDP');
    return { opened: true, conduit: answer.link.conduitOf(answer.entry) };
  }

  promising(agentId: string): boolean {
    return this.#peers.get(agentId)?.promising() ?? true;
  }

  async ping(agentId: string, deadline: Deadline): Promise<number> {
    const link = await this.#peer(agentId).acquire(deadline);
    return await deadline.race(link.liveness.measure());
  }

  async lookAt(agentId: string, dialled: boolean, deadline: Deadline): Promise<PathNow> {
    const tunnels = this.#peer(agentId);
    const link = await (dialled ? tunnels.acquireDialled(deadline) : tunnels.acquire(deadline));
    const packets = link.passesPackets(PACKET_ANSWER);
    const roundTripUs = await deadline.race(link.liveness.measure());
    const passes = await deadline.race(packets);
    return {
      ...{ roundTripUs, address: link.remoteAddress ?? '', dialled: link.initiator, accepted: tunnels.accepted },
      pathSize: passes ? link.pathSize : 0,
    };
  }

  recheckPeers(): void {
    for (const tunnels of [...this.#peers.values()]) {
      for (const link of [...tunnels.links]) {
        const peer = this.#context.directory.peerById(link.peer.agentId);
        if (peer === undefined || !samePeer(link.peer, peer)) {
          const why = this.#context.directory.left ? LEFT : `${link.peer.host} is no member any more, or has new keys`;
          link.close(new TunnelEndedError('revoked', why));
        }
      }
      tunnels.recheck();
      this.#forgetIfEmpty(tunnels);
    }
  }

  /** What was connected from these is dead, though nothing tells. */
  lostAddresses(gone: ReadonlySet<string>): void {
    for (const { links } of this.#peers.values()) {
      for (const link of [...links]) {
        const { localAddress } = link;
        if (localAddress === undefined || !gone.has(localAddress)) continue;
        link.close(new TunnelEndedError('dead', `this host has lost the address ${localAddress}`));
      }
    }
  }

  /**
   * Puts no more flows into the tunnels of now, and takes none: each ends with its last flow, once the peer has heard of it. Of a peer with
   * several that still do so it keeps the others. `forGood`: all, and later ones too, until it is called otherwise.
   */
  leave(forGood: boolean): void {
    this.#leaving = forGood;
    for (const tunnels of this.#peers.values()) {
      if (forGood) leaveAll(tunnels);
      else tunnels.leave();
    }
  }

  close(): Promise<void> {
    if (this.#lifetime.signal.aborted) return Promise.resolve();
    clearInterval(this.#ticker);
    this.#lifetime.abort(new TunnelEndedError('shutdown', 'the agent stops'));
    this.#acceptor?.close();
    const cause = new TunnelEndedError('shutdown', 'the agent stops');
    for (const tunnels of [...this.#peers.values()]) tunnels.closeAll(cause);
    this.#context.datagrams?.close();
    return Promise.resolve();
  }

  // --- accepted connections ---

  established(established: Established): Link | undefined {
    const { peer, wire } = established;
    const tunnels = this.#peer(peer.agentId);
    if (this.lifetime.aborted || tunnels.accepted >= this.#context.settings.acceptedPerPeer) {
      const { remoteAddress } = wire.conduit;
      wire.conduit.reset();
      // It may be a replay, of which the peer knows nothing.
      this.#context.limitedLog.warn('tunnel-rejected', TOO_MANY, { remote: remoteAddress });
      return undefined;
    }
    return Link.start(this.#context, this, established, undefined, tunnels.shown);
  }

  // --- links ---

  confirmed(link: Link): void {
    // While the handshake ran the peer may have lost its membership.
    const peer = this.#context.directory.peerById(link.peer.agentId);
    if (peer === undefined || !samePeer(link.peer, peer)) {
      const why = this.#context.directory.left ? LEFT : `${link.peer.host} is no member any more`;
      link.close(new TunnelEndedError('revoked', why));
      return;
    }
    const tunnels = this.#peer(link.peer.agentId);
    // Counted again: a peer that finishes many handshakes at once had none of them here when they were counted first.
    if (!link.initiator && tunnels.accepted >= this.#context.settings.acceptedPerPeer) {
      this.#context.limitedLog.warn('tunnel-rejected', TOO_MANY, { peer: link.peer.host });
      link.close(new TunnelEndedError('closed', `${link.peer.host} has too many tunnels here`));
      return;
    }
    this.#acceptor?.settled(link);
    tunnels.add(link);
    tunnels.reached();
    // One that was dialled here is for a flow that goes into it first.
    if (this.#leaving && !link.initiator) link.mux.leave();
    this.#context.counters.open += 1;
    const line = this.#context.lines.take(`up ${link.peer.agentId}`);
    if (line === undefined) return;
    this.#context.logger.info(
      { event: 'tunnel-up', peer: link.peer.host, dialled: link.initiator, ...line },
      `tunnel to ${link.peer.host} is up`,
    );
  }

  ended(link: Link, cause: TunnelEndedError): void {
    this.#acceptor?.settled(link);
    const tunnels = this.#peers.get(link.peer.agentId);
    if (tunnels === undefined || !tunnels.links.has(link)) return;
    tunnels.remove(link);
    if (cause.code === 'dead') tunnels.fellSilent(cause);
    this.#context.counters.open -= 1;
    const line = this.#context.lines.take(`${cause.code} ${link.peer.agentId}`);
    if (line === undefined) return;
    this.#context.logger.info(
      { event: 'tunnel-down', peer: link.peer.host, reason: cause.code, ...line },
      `tunnel to ${link.peer.host} is down: ${cause.message}`,
    );
  }

  // --- inside ---

  async #open(agentId: string, request: OpenRequest, deadline: Deadline, data?: EarlyData): Promise<Answer> {
    const tunnels = this.#peer(agentId);
    // A slow way is none that ends nowhere, and who is asked may have done what is asked by then.
    deadline.goesOnWhile(() => tunnels.heard);
    for (let attempt = 1; ; attempt++) {
      const link = await tunnels.acquire(deadline, request.protocol === 'udp');
      const lacking = this.#lacking(link, request);
      if (lacking !== undefined) return { opened: false, refusal: lacking };
      try {
        return await this.#ask(
          tunnels,
          link,
          this.#tellable(link, request),
          deadline,
          this.#takesEarly(link) ? data : undefined,
        );
      } catch (error) {
        // A tunnel to a peer that was restarted ends at the first byte put into it; where no data went with it, once more.
        const lost = error instanceof TunnelEndedError || (error instanceof OpenError && error.code === 'closed');
        if (error instanceof OpenError && error.code === 'too-many-streams') {
          return { opened: false, refusal: { code: 'overloaded', rule: '', revision: 0, detail: error.message } };
        }
        if (!lost || deadline.over) throw error;
        if (attempt === 2)
          throw new UnreachableError('tunnel-lost', `the tunnel to ${link.peer.host} ended`, { cause: error });
      }
    }
  }

  /** A peer is asked for what it knows alone: it might take another thing for a breach of the protocol. */
  #lacking({ peer, capability }: Link, request: OpenRequest): PeerRefusal | undefined {
    const { protocols, sources } = this.#context.settings.askedSince;
    const needed = Math.max(protocols[request.protocol], sources[request.source.type]);
    if (capability >= needed) return undefined;
    const detail = `the agent on ${peer.host} is of capability ${capability}, and this needs ${needed}; upgrade it`;
    return { code: 'other', rule: '', revision: 0, detail };
  }

  /** Into a tunnel that may be dead nothing goes that could not be said once more. */
  #takesEarly({ capability, liveness }: Link): boolean {
    return capability >= this.#context.settings.askedSince.early && liveness.fresh;
  }

  /** Who is not told the user takes it for one that nobody knows. */
  #tellable({ capability }: Link, request: OpenRequest): OpenRequest {
    const { source } = request;
    if (source.type === 'internet' || source.user === undefined) return request;
    if (capability >= this.#context.settings.askedSince.users) return request;
    return { ...request, source: source.type === 'host' ? { type: 'host' } : { type: 'service', name: source.name } };
  }

  #ask(
    tunnels: PeerPool,
    link: Link,
    request: OpenRequest,
    deadline: Deadline,
    data: EarlyData | undefined,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      deadline.throwIfOver();
      let late: MuxStream | DatagramFlow | undefined;
      const letGo = (): number => {
        const early = giveUp();
        if (late instanceof MuxStream) late.reset();
        else late?.close();
        return early;
      };
      const onEnd = (reason: Error): void => {
        if (reason instanceof FlowCutError) {
          reject(reason);
          afterCut(letGo);
          return;
        }
        const slow = deadline.late && tunnels.heard;
        const early = letGo();
        if (early === 0 && !slow) reject(reason);
        else {
          const detail = slow
            ? `${reason.message}, though ${link.peer.host} is heard: the way to it is slow`
            : reason.message;
          reject(new UnansweredError(detail, early, slow ? 'slow' : 'silent', { cause: reason }));
        }
      };
      const settle = (): void => deadline.off(onEnd);
      // Before it is asked, for it may be refused at once.
      deadline.onEnd(onEnd);
      const events = {
        opened: (entry: MuxStream | DatagramFlow, early: number) => {
          late = entry;
          settle();
          resolve({ opened: true, entry, link, early });
        },
        refused: (refusal: PeerRefusal) => {
          settle();
          resolve({ opened: false, refusal });
        },
        failed: (cause: Error, early: number) => {
          settle();
          if (early === 0) reject(cause);
          else {
            // The program may have it: asked once more, it might do twice what its caller asked once.
            const detail = `the tunnel to ${link.peer.host} ended before an answer, behind what the caller had said`;
            reject(new UnansweredError(detail, early, 'lost', { cause }));
          }
        },
      };
      const giveUp = link.request(request, events, data);
    });
  }

  #peer(agentId: string): PeerPool {
    let tunnels = this.#peers.get(agentId);
    if (tunnels === undefined) {
      tunnels = new PeerPool(this.#context, this, agentId, this.lifetime);
      this.#peers.set(agentId, tunnels);
    }
    return tunnels;
  }

  #forgetIfEmpty(tunnels: PeerPool): void {
    if (tunnels.empty && this.#context.directory.peerById(tunnels.agentId) === undefined) {
      this.#peers.delete(tunnels.agentId);
    }
  }

  #tick(): void {
    for (const tunnels of [...this.#peers.values()]) {
      tunnels.tick();
      if (this.#leaving) leaveAll(tunnels);
      this.#forgetIfEmpty(tunnels);
    }
  }
}

function leaveAll({ links }: PeerPool): void {
  for (const link of links) link.mux.leave();
}

/** What the peer is asked for is what was permitted, and nothing else. */
export function requestOf({ destination }: Permit, { flowId, ordinal, source }: FlowTarget): OpenRequest {
  const { service, port, protocol } = destination;
  return { flowId, protocol, service: service.name, ordinal, port, source };
}
