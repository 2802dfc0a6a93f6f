/** What one agent tells of a pair, and what the shares of a pair come to. */
import { type DeniedAttempt, defined, type PairTraffic, type TrafficPair } from '@weft/proto';
import type { TrafficStatus } from './types.ts';

/** Per second, but for `open`. */
export interface Rates {
  readonly open: number;
  readonly opened: number;
  readonly denied: number;
  readonly failed: number;
  readonly sent: number;
  readonly received: number;
}

export type Denial = DeniedAttempt & { readonly atMs: number };

export interface Share {
  readonly rates: Rates;
  readonly denial: Denial | undefined;
  /** The telemetry of its teller that it was last in. */
  readonly round: number;
}

export const NOTHING_MOVES: Rates = { open: 0, opened: 0, denied: 0, failed: 0, sent: 0, received: 0 };

/** A shorter interval than agents have is not believed: it would make any count a flood. */
const LEAST_INTERVAL_MS = 100;

export function ratesOf(told: PairTraffic, intervalMs: number): Rates {
  const perSecond = (count: number): number => (count * 1_000) / Math.max(LEAST_INTERVAL_MS, intervalMs);
  return {
    open: told.open,
    opened: perSecond(told.opened),
    denied: perSecond(told.denied),
    failed: perSecond(told.failed),
    sent: perSecond(told.bytesSent),
    received: perSecond(told.bytesReceived),
  };
}

export function sameRates(one: Rates, other: Rates): boolean {
  return (
    one.open === other.open &&
    one.opened === other.opened &&
    one.denied === other.denied &&
    one.failed === other.failed &&
    one.sent === other.sent &&
    one.received === other.received
  );
}

export function statusOf(pair: TrafficPair, shares: Iterable<Share>): TrafficStatus {
  let sum = NOTHING_MOVES;
  let lastDenied: Denial | undefined;
  for (const { rates, denial } of shares) {
    sum = sum === NOTHING_MOVES ? rates : plus(sum, rates);
    if (denial !== undefined && denial.atMs >= (lastDenied?.atMs ?? 0)) lastDenied = denial;
  }
  return {
    ...pair,
    open: sum.open,
    openedPerSecond: sum.opened,
    deniedPerSecond: sum.denied,
    failedPerSecond: sum.failed,
    sentPerSecond: sum.sent,
    receivedPerSecond: sum.received,
    ...defined({ lastDenied }),
  };
}

function plus(one: Rates, other: Rates): Rates {
  return {
    open: one.open + other.open,
    opened: one.opened + other.opened,
    denied: one.denied + other.denied,
    failed: one.failed + other.failed,
    sent: one.sent + other.sent,
    received: one.received + other.received,
  };
}
