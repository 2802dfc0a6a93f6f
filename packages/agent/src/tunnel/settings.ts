import { ASKED_SINCE, type AskedSince } from '../words/opening.ts';

/** Times and bounds of the tunnel layer, and what peers are asked for. Times in milliseconds. */
export interface TunnelSettings {
  /** From connect to a finished handshake, all endpoints together. */
  readonly dialTimeout: number;
  /** How long an endpoint may be silent before the next is tried beside it. */
  readonly stagger: number;
  /** An accepted connection has this long to become a confirmed tunnel. */
  readonly handshakeTimeout: number;
  /** Silence after which a ping is sent where no flow is carried. */
  readonly keepalive: number;
  /** An end that carries flows says something at least this often. */
  readonly heartbeat: number;
  /** Silence after which a tunnel that carries no flow is dead, or one whose UDP packets still come. */
  readonly dead: number;
  /** The same of one that does, or where an answer is awaited or bytes are stuck: of four heartbeats none came. */
  readonly deadWhenCarrying: number;
  /** Silence after a ping at which new flows are no longer put into a tunnel. */
  readonly suspect: number;
  /** Unused extra tunnels to a peer are closed after this. */
  readonly extraIdle: number;
  /** Age of a session at which a new handshake is run inside the tunnel. */
  readonly renewal: number;
  /** Age of a used key at which it is replaced by the next. */
  readonly rekey: number;
  /** A failed peer is not dialled again for this long at first, and at most. */
  readonly backoffFirst: number;
  readonly backoffLast: number;
  /** No peer's fault, and so never longer: for this long none is dialled again that this host had no file for. */
  readonly shortagePause: number;
  /** How often tunnels are looked at. */
  readonly tick: number;
  /** Tunnels dialled to one peer. */
  readonly poolSize: number;
  /** Tunnels accepted from one peer. Each of its threads, up to 64, dials its own, and one thread here may get them all. */
  readonly acceptedPerPeer: number;
  /** Tunnels dialled to a peer that leaves those it has unanswered. */
  readonly dialledPerPeer: number;
  /** Connections in handshake: in all, and from one address. */
  readonly handshakes: number;
  readonly handshakesPerAddress: number;
  readonly askedSince: AskedSince;
}

export const DEFAULT_SETTINGS: TunnelSettings = {
  dialTimeout: 4_000,
  stagger: 300,
  handshakeTimeout: 5_000,
  keepalive: 10_000,
  heartbeat: 2_000,
  dead: 15_000,
  deadWhenCarrying: 8_000,
  suspect: 2_000,
  extraIdle: 60_000,
  renewal: 3_600_000,
  rekey: 120_000,
  backoffFirst: 100,
  backoffLast: 1_000,
  shortagePause: 250,
  tick: 1_000,
  poolSize: 4,
  acceptedPerPeer: 32,
  dialledPerPeer: 16,
  handshakes: 512,
  handshakesPerAddress: 128,
  askedSince: ASKED_SINCE,
};
