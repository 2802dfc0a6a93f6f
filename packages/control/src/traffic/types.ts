/** Who calls whom now: what the agents' telemetry comes to. */
import type { DeniedAttempt, Telemetry, TrafficPair } from '@weft/proto';

/** Rates are per second, of the last interval that was told. */
export interface TrafficStatus extends TrafficPair {
  readonly open: number;
  readonly openedPerSecond: number;
  readonly deniedPerSecond: number;
  readonly failedPerSecond: number;
  readonly sentPerSecond: number;
  readonly receivedPerSecond: number;
  /** The newest denial of the last five minutes, and when it was told, milliseconds since the Unix epoch. */
  readonly lastDenied?: DeniedAttempt & { readonly atMs: number };
}

export interface Traffic {
  /** Replaces what the agent on `host` told before. Pairs that touch no end of that host are left out. */
  take(network: string, host: string, telemetry: Telemetry): void;
  /** The agent went away, and with it its flows. Denials stay for their time. */
  forget(network: string, host: string): void;
  /** By source, its host, service and host; the same object for as long as nothing changed. */
  list(network: string): readonly TrafficStatus[];
  /** Pairs that agents left out for want of room. */
  omitted(network: string): number;
}
