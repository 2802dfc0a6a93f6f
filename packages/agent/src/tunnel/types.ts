/** What the tunnel layer offers to outbound, inbound and gateway, and what it asks of the netmap. */
import type { Conduit } from '../connections/conduit.ts';
import type { OpenRequest, Refusal } from '../protocol/mux/types.ts';

export type { OpenRequest, Refusal, RefusalCode, SourceClaim } from '../protocol/mux/types.ts';

/** Another agent as the tunnel layer needs it. */
export interface TunnelPeer {
  readonly agentId: string;
  readonly host: string;
  /** X25519 public key, 32 bytes. */
  readonly tunnelKey: Uint8Array;
  /** Pre-shared key of the pair, 32 bytes. */
  readonly psk: Uint8Array;
  /** HOST:PORT, in the order to try. */
  readonly endpoints: readonly string[];
}

/** The live netmap, as far as tunnels may see it. Asked at each handshake, so that a revoked peer is refused. */
export interface PeerDirectory {
  peerById(agentId: string): TunnelPeer | undefined;
  peerByKey(tunnelKey: Uint8Array): TunnelPeer | undefined;
}

/** A UDP flow in a tunnel: datagrams keep their boundaries, and may be lost, as on any path. */
export interface DatagramConduit {
  attach(events: DatagramEvents): void;
  /** Sends one datagram of 0 to 65,507 bytes. Drops it, and counts, when the path is full. Bytes are used before it returns. */
  send(payload: Buffer): void;
  /** Ends the flow at both ends. */
  close(): void;
}

export interface DatagramEvents {
  /** The payload is fresh memory, to keep if wanted; it may lie in a much larger piece. */
  datagram(payload: Buffer): void;
  /** The flow is over; comes exactly once. `cause` when the tunnel ended under it. */
  closed(cause?: Error): void;
}

export type Opened<C> =
  | { readonly opened: true; readonly conduit: C }
  | { readonly opened: false; readonly refusal: Refusal };

/** A flow that a peer asks to open here. Exactly one of accept and refuse is called, soon. */
export interface InboundStream {
  readonly peer: TunnelPeer;
  readonly request: OpenRequest;
  accept(): Conduit;
  refuse(refusal: Refusal): void;
  /** Tells when the peer gave up before an answer. */
  readonly abandoned: AbortSignal;
}

export interface InboundDatagrams {
  readonly peer: TunnelPeer;
  readonly request: OpenRequest;
  accept(): DatagramConduit;
  refuse(refusal: Refusal): void;
  readonly abandoned: AbortSignal;
}

/** Where flows from peers go: the inbound side of the agent. */
export interface InboundHandler {
  stream(inbound: InboundStream): void;
  datagrams(inbound: InboundDatagrams): void;
}

/** All tunnels of this agent. */
export interface Tunnels {
  /** Opens a TCP flow at a peer. Throws UnreachableError when no tunnel could be made in time. */
  openStream(agentId: string, request: OpenRequest, signal: AbortSignal): Promise<Opened<Conduit>>;
  /** Opens a UDP flow at a peer. Throws UnreachableError when no tunnel could be made in time. */
  openDatagrams(agentId: string, request: OpenRequest, signal: AbortSignal): Promise<Opened<DatagramConduit>>;
  /** Round-trip time inside a tunnel to the peer, microseconds, making one when there is none. */
  ping(agentId: string, signal: AbortSignal): Promise<number>;
  /** To be called after each change of the directory: cuts tunnels of peers gone, or whose key or psk changed. */
  recheckPeers(): void;
  readonly counters: TunnelCounters;
  close(): Promise<void>;
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
