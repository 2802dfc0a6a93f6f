/** What moves on an agent now; see Telemetry in agent.proto for each field. */
import type { ReportedProtocol } from './mesh.ts';

export interface DeniedAttempt {
  readonly port: number;
  readonly protocol: ReportedProtocol;
  readonly rule: string;
  readonly revision: number;
}

/** Who called whom: the key of a pair. */
export interface TrafficPair {
  /** `web`, `host:build-3` or `internet`. */
  readonly source: string;
  readonly sourceHost: string;
  readonly service: string;
  /** Empty when no instance was reached. */
  readonly destinationHost: string;
}

/** Counts are of one interval; `open` is of now. */
export interface PairTraffic extends TrafficPair {
  readonly open: number;
  readonly opened: number;
  readonly denied: number;
  readonly failed: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly lastDenied?: DeniedAttempt;
}

export interface PeerTunnels {
  readonly host: string;
  readonly tunnels: number;
  /** Microseconds; 0 when none was measured. */
  readonly roundTripUs: number;
  /** Sealed bytes since the first tunnel to this peer. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Bytes of UDP payload that the path to the peer has shown to carry, the least of its tunnels; 0: datagrams go inside them. */
  readonly pathSize: number;
}

export interface Telemetry {
  /** By the agent's clock, milliseconds since the Unix epoch. */
  readonly sentMs: number;
  readonly intervalMs: number;
  /** At most 2,000. */
  readonly pairs: readonly PairTraffic[];
  readonly pairsOmitted: number;
  /** At most 2,000. */
  readonly peers: readonly PeerTunnels[];
  /** 99th percentile of the interval. */
  readonly loopDelayUs: number;
  /** Flow records that wait to be sent. */
  readonly flowsQueued: number;
  /** Since the agent started: it had no room to hold them. */
  readonly recordsLost: number;
}
