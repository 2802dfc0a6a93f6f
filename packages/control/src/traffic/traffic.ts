/** The agents' telemetry, put together by network. */

import { entryOf } from '@weft/proto';
import { NetworkTraffic, NO_TRAFFIC } from './network-traffic.ts';
import type { Traffic } from './types.ts';

export interface TrafficOptions {
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Pairs of one network; those beyond are counted as omitted. */
  readonly mostPairs?: number;
}

const MOST_PAIRS = 50_000;

export function createTraffic({ now, mostPairs = MOST_PAIRS }: TrafficOptions): Traffic {
  const networks = new Map<string, NetworkTraffic>();
  const settle = (name: string, network: NetworkTraffic): void => {
    if (network.empty) networks.delete(name);
  };
  return {
    take(name, host, telemetry) {
      entryOf(networks, name, () => new NetworkTraffic(mostPairs)).take(host, telemetry, now());
    },
    forget(name, host) {
      const network = networks.get(name);
      if (network === undefined) return;
      network.forget(host, now());
      settle(name, network);
    },
    list(name) {
      const network = networks.get(name);
      if (network === undefined) return NO_TRAFFIC;
      const listed = network.list(now());
      settle(name, network);
      return listed;
    },
    omitted: (name) => networks.get(name)?.omitted ?? 0,
  };
}
