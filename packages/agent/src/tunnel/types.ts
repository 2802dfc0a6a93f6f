/** What the tunnel layer offers to outbound, inbound and gateway. */
import type { Permit } from '@weft/proto';
import type { Deadline } from '../bytes/deadline.ts';
import type { Conduit, DatagramConduit } from '../words/conduit.ts';
import type { EarlyData, FlowTarget, Opened, OpenRequest, PeerRefusal, Refusal } from '../words/opening.ts';
import type { TunnelPeer } from '../words/peer.ts';

/** A flow that a peer asks to open here: a stream for TCP, datagrams for UDP. Exactly one of accept and refuse is called, soon. */
export interface Inbound<C> {
  readonly peer: TunnelPeer;
  readonly request: OpenRequest;
  accept(): C;
  refuse(refusal: Refusal): void;
  /** Whether the peer gave up before an answer. */
  readonly gone: boolean;
  /** Tells, in place of who asked before, when it did; at once where it has. */
  onGone(told: () => void): void;
}

/** Where flows from peers go: the inbound side of the agent. */
export interface InboundHandler {
  stream(inbound: Inbound<Conduit>): void;
  datagrams(inbound: Inbound<DatagramConduit>): void;
}

/** All tunnels of this agent. */
export interface Tunnels {
  /**
   * Opens a TCP flow at a peer, for nothing but a permit. What the caller has said goes along as `data`, where the peer takes it; then
   * no answer may mean that the program has it. Throws UnreachableError when no tunnel can be made, or the deadline's reason.
   */
  openStream(
    permit: Permit,
    target: FlowTarget,
    deadline: Deadline,
    data?: EarlyData,
  ): Promise<Opened<Conduit, PeerRefusal>>;
  /** Opens a UDP flow at a peer. Throws UnreachableError when no tunnel can be made, or the deadline's reason. */
  openDatagrams(permit: Permit, target: FlowTarget, deadline: Deadline): Promise<Opened<DatagramConduit, PeerRefusal>>;
  /**
   * Whether the peer is likely to take a flow, as far as is known. One that has fallen silent, or could not be reached, is dialled
   * beside when this is asked, so that it is found when it is back though nobody calls there.
   */
  promising(agentId: string): boolean;
  /** Round-trip time inside a tunnel to the peer, microseconds, making one when there is none. */
  ping(agentId: string, deadline: Deadline): Promise<number>;
  /**
   * The way to the peer as it is now, with a tunnel made where there is none; `dialled`: none that the peer made will do. Throws
   * UnreachableError, or the deadline's reason.
   */
  lookAt(agentId: string, dialled: boolean, deadline: Deadline): Promise<PathNow>;
  /** To be called after each change of the directory: cuts tunnels of peers gone, or whose key or psk changed. */
  recheckPeers(): void;
  readonly counters: TunnelCounters;
  close(): Promise<void>;
}

export interface PathNow {
  /** Inside the tunnel, microseconds. */
  readonly roundTripUs: number;
  /** HOST:PORT of the peer's end; empty where it has none. */
  readonly address: string;
  /** Whether this agent made the tunnel, rather than the peer. */
  readonly dialled: boolean;
  /** Tunnels that the peer has made to this agent. */
  readonly accepted: number;
  /** Bytes of UDP payload that pass beside the tunnel; 0: datagrams go inside it. */
  readonly pathSize: number;
}

/** One that was dialled in vain, and to which there is no tunnel. */
export interface UnreachedPeer {
  readonly host: string;
  /** HOST:PORT, each of them tried. */
  readonly addresses: readonly string[];
  /** How long ago the first try failed, milliseconds. */
  readonly forMs: number;
  /** What came of the last. */
  readonly cause: string;
}

export interface TunnelCounters {
  /** Tunnels open now. */
  open: number;
  /** Handshakes that failed or timed out. */
  handshakesFailed: number;
  /** Connections closed because the peer broke the protocol. */
  violations: number;
  /** Datagrams dropped: replayed, forged, or over a bound. */
  datagramsDropped: number;
  bytesSent: number;
  bytesReceived: number;
}
