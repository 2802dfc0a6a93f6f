/** How each network fares, in numbers: what is asked for at each scrape. */

import { byText, EXPOSED_PROBLEM, joinTokenState, REACHED_PROBLEM } from '@weft/proto';
import type { LiveAgents } from '../fleet/live.ts';
import { behindMs, fleetAgents, fleetInstances } from '../fleet/projection.ts';
import type { NetworkState, StateStore } from '../state/types.ts';
import type { Traffic } from '../traffic/types.ts';

const NONE = {
  revision: 0,
  services: 0,
  connected: 0,
  away: 0,
  behind: 0,
  /** For how long the agent that is furthest behind, of those connected, has been so. */
  behindSeconds: 0,
  /** The clock that is furthest off, either way. */
  skewSeconds: 0,
  problems: 0,
  /** Services whose programs of connected agents are reached past Weft, each once a host. */
  exposed: 0,
  /** Of these, services that other hosts have reached so. */
  reached: 0,
  healthy: 0,
  unhealthy: 0,
  tokens: 0,
  flowsOpen: 0,
  pairs: 0,
  pairsOmitted: 0,
  recordsDropped: 0,
};

export type NetworkTotals = typeof NONE;

export interface NetworkSources {
  readonly state: Pick<StateStore, 'current' | 'tokens'>;
  readonly live: LiveAgents;
  readonly traffic: Pick<Traffic, 'list' | 'omitted'>;
  readonly flows: { dropped(network: string): number };
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

/** Networks that are told one by one; those beyond are one, `other`. No network is called so by who does not mean it. */
const MOST_NETWORKS = 100;

export function totalsByNetwork(sources: NetworkSources, most = MOST_NETWORKS): Map<string, NetworkTotals> {
  const networks = [...sources.state.current.networks.values()].sort((one, other) => byText(one.name, other.name));
  const totals = new Map(networks.slice(0, most).map((network) => [network.name, totalsOf(network, sources)]));
  const rest = networks.slice(most).map((network) => totalsOf(network, sources));
  if (rest.length === 0) return totals;
  return totals.set('other', [totals.get('other') ?? NONE, ...rest].reduce(together));
}

function totalsOf(network: NetworkState, { state, live, traffic, flows, now }: NetworkSources): NetworkTotals {
  const totals = { ...NONE, revision: network.revision, services: network.services.size };
  const nowMs = now();
  for (const agent of fleetAgents(network, live)) {
    if (!agent.connected) {
      totals.away += 1;
      continue;
    }
    totals.connected += 1;
    const problems = agent.report?.problems ?? [];
    totals.problems += problems.length;
    totals.exposed += problems.filter(({ code }) => code === EXPOSED_PROBLEM).length;
    totals.reached += problems.filter(({ code }) => code === REACHED_PROBLEM).length;
    totals.skewSeconds = Math.max(totals.skewSeconds, Math.abs(agent.clockSkewMs ?? 0) / 1_000);
    if (agent.behind) totals.behind += 1;
    totals.behindSeconds = Math.max(totals.behindSeconds, behindMs(agent, nowMs) / 1_000);
  }
  for (const { healthy } of fleetInstances(network, live)) totals[healthy ? 'healthy' : 'unhealthy'] += 1;
  totals.tokens = state.tokens(network.name).filter((token) => joinTokenState(token, nowMs) === 'valid').length;
  const moving = traffic.list(network.name);
  for (const { open } of moving) totals.flowsOpen += open;
  totals.pairs = moving.length;
  totals.pairsOmitted = traffic.omitted(network.name);
  totals.recordsDropped = flows.dropped(network.name);
  return totals;
}

/** Of these the largest stands for several networks; the rest add up. */
const LARGEST: ReadonlySet<keyof NetworkTotals> = new Set(['revision', 'behindSeconds', 'skewSeconds']);

function together(one: NetworkTotals, other: NetworkTotals): NetworkTotals {
  const both = { ...one };
  for (const key of Object.keys(NONE) as (keyof NetworkTotals)[]) {
    both[key] = LARGEST.has(key) ? Math.max(one[key], other[key]) : one[key] + other[key];
  }
  return both;
}
