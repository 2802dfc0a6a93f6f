/** What the admin API and the dashboard show of agents as they are now. The stream's end of control fills it. */
import type { Report, Telemetry } from '@weft/proto';
import type { InstanceHealth } from '../netmap/presence.ts';

/** Sealed bytes per second. */
export interface PeerRate {
  readonly sentPerSecond: number;
  readonly receivedPerSecond: number;
}

/** By the peer's host; without those that nothing moves to or from. */
export type PeerRates = ReadonlyMap<string, PeerRate>;

/** What an agent said that runs there. */
export interface Software {
  /** Empty before its first Hello. */
  readonly version: string;
  /** What it understands: see CAPABILITIES. */
  readonly capability: number;
}

export interface LiveAgent extends Software {
  readonly connected: boolean;
  /** When anything last arrived from it, milliseconds since the Unix epoch; 0 when never since control started. */
  readonly lastSeenMs: number;
  /** Newest revision it acknowledged as enforced; 0 when none since control started. */
  readonly enforcedRevision: number;
  /** Whether a start from its disk would enforce that too; true until it says otherwise. */
  readonly kept: boolean;
  /** When it first acknowledged that revision, by control's clock; 0 when none since control started. */
  readonly enforcedSinceMs: number;
  readonly report: Report | undefined;
  /** Address that it came from last, as control saw it; empty when it has not come. */
  readonly observedHost: string;
  /**
   * Since when a revision is out that is not enforced here, milliseconds since the Unix epoch, and for one that is connected
   * not before it was; 0 when the newest is enforced.
   */
  readonly behindSinceMs: number;
  /** Its clock less control's, milliseconds, less the way; undefined before its first telemetry. */
  readonly clockSkewMs: number | undefined;
  /** The last, without its pairs, which are in Traffic; undefined before the first and while it is away. */
  readonly telemetry: Telemetry | undefined;
  /** Over the last interval; empty after a while of silence. */
  readonly peerRates: PeerRates;
}

export interface LiveAgents {
  agent(agentId: string): LiveAgent | undefined;
  /** How one service fares on one agent; undefined when the agent does not run it now. */
  instance(agentId: string, service: string): InstanceHealth | undefined;
}

/** Waits for agents that are connected to enforce a revision. */
export interface EnforcementWaiter {
  /** Hosts still behind when the time was up; empty as soon as none is. Rejects only when the signal aborts. */
  waitEnforced(network: string, revision: number, timeoutMs: number, signal: AbortSignal): Promise<string[]>;
}
