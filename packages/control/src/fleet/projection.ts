/**
 * How a network's agents, instances and services fare: the state, beside what agents say now. The admin API, the page and
 * the metrics tell it in their own form, and explain follows a flow through it; what counts as what is decided here alone.
 */
import { byText, type Mesh, UNSAID_CAPABILITY, withPublished } from '@weft/proto';
import { ABSENT, type InstanceHealth } from '../netmap/presence.ts';
import type { AgentState, InstanceState, NetworkState, ServiceState } from '../state/types.ts';
import type { LiveAgent, LiveAgents } from './live.ts';

export interface FleetAgent extends LiveAgent {
  readonly agent: AgentState;
  /** By the mesh; empty for a host that it does not name. */
  readonly tags: readonly string[];
  /** What the mesh lets its host run, as it says it. */
  readonly said: readonly string[];
  /** Connected, and not enforcing the newest revision yet. */
  readonly behind: boolean;
}

export interface FleetInstance extends InstanceHealth {
  readonly instance: InstanceState;
  readonly agent: AgentState | undefined;
  readonly connected: boolean;
}

export interface FleetService extends ServiceState {
  /** By ordinal. */
  readonly instances: readonly FleetInstance[];
}

export interface FleetNetwork {
  readonly name: string;
  readonly revision: number;
  readonly services: number;
  readonly agents: number;
  readonly connected: number;
  /** Hosts, by name. */
  readonly behind: readonly string[];
}

export function fleetNetwork(network: NetworkState, live: LiveAgents): FleetNetwork {
  const connected = fleetAgents(network, live).filter((agent) => agent.connected);
  const behind = connected.filter((agent) => agent.behind);
  return {
    name: network.name,
    revision: network.revision,
    services: network.services.size,
    agents: network.agents.size,
    connected: connected.length,
    behind: behind.map(({ agent }) => agent.host).sort(byText),
  };
}

export function fleetAgents(network: NetworkState, live: LiveAgents): FleetAgent[] {
  return Array.from(network.agents.values(), fleetAgentOf(network, live));
}

/** For who wants some of them. */
export function fleetAgentOf(network: NetworkState, live: LiveAgents): (agent: AgentState) => FleetAgent {
  const settings = new Map(network.mesh.agents.map((each) => [each.name, each]));
  return (agent) => {
    const now = { ...UNHEARD, ...live.agent(agent.id) };
    const behind = now.connected && now.enforcedRevision < network.revision;
    const { tags, services: said } = settings.get(agent.host) ?? { tags: [], services: [] };
    return { ...now, agent, version: now.version || agent.version, tags, said, behind };
  };
}

/** Of all services, or of one. Without copies whose agent is connected and says that it does not run the service now. */
export function fleetInstances(network: NetworkState, live: LiveAgents, only?: string): FleetInstance[] {
  const found: FleetInstance[] = [];
  for (const instance of network.instances.values()) {
    if (only !== undefined && instance.service !== only) continue;
    const now = live.instance(instance.agentId, instance.service);
    const connected = live.agent(instance.agentId)?.connected === true;
    if (now === undefined && connected) continue;
    const agent = network.agents.get(instance.agentId);
    const declared = network.services.get(instance.service)?.service;
    found.push({ instance, agent, connected, ...withPublished(now ?? ABSENT, declared) });
  }
  return found.sort((one, other) => one.instance.ordinal - other.instance.ordinal);
}

/** Names of the services with an instance on an agent, of those that it may run. */
export function fleetRuns(
  network: NetworkState,
  live: LiveAgents,
): (agentId: string, mayRun: readonly string[]) => readonly string[] {
  const running = Map.groupBy(fleetInstances(network, live), ({ instance }) => instance.agentId);
  return (agentId, mayRun) => {
    const may = new Set(mayRun);
    return (running.get(agentId) ?? []).flatMap(({ instance }) => (may.has(instance.service) ? instance.service : []));
  };
}

const NONE: ReadonlySet<string> = new Set();

/** Names of the services whose processes its agent tells from others, by what it said last. */
export function fleetTold(live: LiveAgents, agentId: string): ReadonlySet<string> {
  const told = live.agent(agentId)?.report?.toldApart ?? [];
  return told.length === 0 ? NONE : new Set(told);
}

/** Whether a program of its host that is known to be of none of its services speaks as the host, by what it said last. */
export function speaksAsHost(live: LiveAgents, agentId: string): boolean {
  return live.agent(agentId)?.report?.othersAsHost === true || fleetTold(live, agentId).size > 0;
}

export function fleetServices(network: NetworkState, live: LiveAgents): FleetService[] {
  const instances = Map.groupBy(fleetInstances(network, live), ({ instance }) => instance.service);
  return Array.from(network.services.values(), (declared) => ({
    ...declared,
    instances: instances.get(declared.service.name) ?? [],
  }));
}

/** Hosts that enforce the revision, and would not after a start without control: they could not write it down. By name. */
export function notKept(network: NetworkState, live: LiveAgents, revision: number): string[] {
  const lacking = fleetAgents(network, live).filter(
    ({ connected, enforcedRevision, kept }) => connected && enforcedRevision >= revision && !kept,
  );
  return lacking.map(({ agent }) => agent.host).sort(byText);
}

/** For how long it has been behind, milliseconds; 0 when it is not. */
export function behindMs({ behindSinceMs }: LiveAgent, nowMs: number): number {
  return behindSinceMs === 0 ? 0 : Math.max(0, nowMs - behindSinceMs);
}

export function tagsByHost(mesh: Mesh): Map<string, readonly string[]> {
  return new Map(mesh.agents.map(({ name, tags }) => [name, tags]));
}

/** Of an agent that nothing is known of. */
const UNHEARD: LiveAgent = {
  connected: false,
  lastSeenMs: 0,
  enforcedRevision: 0,
  kept: true,
  enforcedSinceMs: 0,
  version: '',
  capability: UNSAID_CAPABILITY,
  report: undefined,
  observedHost: '',
  behindSinceMs: 0,
  clockSkewMs: undefined,
  telemetry: undefined,
  peerRates: new Map(),
};
