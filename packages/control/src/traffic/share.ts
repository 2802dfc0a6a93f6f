/** What one agent tells of a pair, and what the shares of a pair come to. */
import { type DeniedAttempt, defined, type PairTraffic, type TrafficPair } from '@weft/proto';
import type { TrafficStatus } from './types.ts';

export type Rates = Omit<TrafficStatus, keyof TrafficPair | 'lastDenied'>;

export type Denial = DeniedAttempt & { readonly atMs: number };

export interface Share {
  readonly rates: Rates;
  readonly denial: Denial | undefined;
  /** The telemetry of its teller that it was last in. */
  readonly round: number;
}

export const NOTHING_MOVES: Rates = {
  open: 0,
  openedPerSecond: 0,
  deniedPerSecond: 0,
  failedPerSecond: 0,
  sentPerSecond: 0,
  receivedPerSecond: 0,
};

const RATES = Object.keys(NOTHING_MOVES) as (keyof Rates)[];

/** A shorter interval than agents have is not believed: it would make any count a flood. */
const LEAST_INTERVAL_MS = 100;

export function ratesOf(told: PairTraffic, intervalMs: number): Rates {
  const perSecond = (count: number): number => (count * 1_000) / Math.max(LEAST_INTERVAL_MS, intervalMs);
  return {
    open: told.open,
    openedPerSecond: perSecond(told.opened),
    deniedPerSecond: perSecond(told.denied),
    failedPerSecond: perSecond(told.failed),
    sentPerSecond: perSecond(told.bytesSent),
    receivedPerSecond: perSecond(told.bytesReceived),
  };
}

export function sameRates(one: Rates, other: Rates): boolean {
  return RATES.every((rate) => one[rate] === other[rate]);
}

export function statusOf(pair: TrafficPair, shares: Iterable<Share>): TrafficStatus {
  let sum = NOTHING_MOVES;
  let lastDenied: Denial | undefined;
  for (const { rates, denial } of shares) {
    sum = sum === NOTHING_MOVES ? rates : plus(sum, rates);
    if (denial !== undefined && denial.atMs >= (lastDenied?.atMs ?? 0)) lastDenied = denial;
  }
  return { ...pair, ...sum, ...defined({ lastDenied }) };
}

function plus(one: Rates, other: Rates): Rates {
  const sum = { ...one };
  for (const rate of RATES) sum[rate] += other[rate];
  return sum;
}
