/** What the listings of the admin service and the dashboard show: the state, beside how agents fare now. */
import { formatAddress, keyFingerprint } from '@weft/proto';
import {
  deniedToWire,
  type pb,
  portsToWire,
  reportToWire,
  rolesToWire,
  serviceToWire,
  telemetryToWire,
} from '@weft/proto/wire';
import type { LiveAgent, LiveAgents } from '../fleet/live.ts';
import { byText } from '../order.ts';
import type { AgentState, InstanceState, NetworkState, TokenState } from '../state/types.ts';
import type { Traffic, TrafficStatus } from '../traffic/types.ts';

export function networkStatus(network: NetworkState, live: LiveAgents, flowsDropped: number): pb.NetworkStatus {
  let connected = 0;
  const behind: string[] = [];
  for (const agent of network.agents.values()) {
    const now = live.agent(agent.id);
    if (now?.connected !== true) continue;
    connected += 1;
    if (now.enforcedRevision < network.revision) behind.push(agent.host);
  }
  return {
    network: network.name,
    revision: network.revision,
    services: network.services.size,
    agents: network.agents.size,
    connected,
    behind: behind.sort(byText),
    flowsDropped,
  };
}

export function serviceStatuses(network: NetworkState, live: LiveAgents): pb.ServiceStatus[] {
  const copies = Map.groupBy(network.instances.values(), (instance) => instance.service);
  return [...network.services.values()]
    .sort((one, other) => byText(one.service.name, other.service.name))
    .map(({ service, address }) => ({
      service: serviceToWire(service),
      vip: service.kind === 'worker' ? '' : formatAddress(address),
      instances: (copies.get(service.name) ?? [])
        .sort((one, other) => one.ordinal - other.ordinal)
        .flatMap((instance) => instanceStatus(network, instance, live)),
    }));
}

/** Nothing for a copy whose agent is connected and says that it does not run the service now. */
function instanceStatus(network: NetworkState, instance: InstanceState, live: LiveAgents): pb.InstanceStatus[] {
  const now = live.instance(instance.agentId, instance.service);
  if (now === undefined && live.agent(instance.agentId)?.connected === true) return [];
  return [
    {
      ordinal: instance.ordinal,
      host: network.agents.get(instance.agentId)?.host ?? '',
      address: formatAddress(instance.address),
      healthy: now?.healthy ?? false,
      notListening: portsToWire(now?.notListening ?? []),
    },
  ];
}

export function agentStatuses(network: NetworkState, live: LiveAgents, nowMs: number): pb.Outgoing<pb.AgentStatus>[] {
  const tags = new Map(network.mesh.agents.map((agent) => [agent.name, agent.tags]));
  return [...network.agents.values()]
    .sort((one, other) => byText(one.host, other.host))
    .map((agent) => agentStatus(agent, tags.get(agent.host) ?? [], live.agent(agent.id), nowMs));
}

function agentStatus(
  agent: AgentState,
  tags: readonly string[],
  now: LiveAgent | undefined,
  nowMs: number,
): pb.Outgoing<pb.AgentStatus> {
  const behindSinceMs = now?.behindSinceMs ?? 0;
  return {
    agentId: agent.id,
    host: agent.host,
    connected: now?.connected ?? false,
    lastSeenMs: now?.lastSeenMs ?? 0,
    enforcedRevision: now?.enforcedRevision ?? 0,
    version: now?.version || agent.version,
    services: [...agent.services],
    roles: rolesToWire(agent.roles),
    ephemeral: agent.ephemeral,
    tags: [...tags],
    tokenId: agent.tokenId,
    address: formatAddress(agent.address),
    ...(now?.report === undefined ? {} : { report: reportToWire(now.report) }),
    behindMs: behindSinceMs === 0 ? 0 : Math.max(0, nowMs - behindSinceMs),
    clockSkewMs: Math.trunc(now?.clockSkewMs ?? 0),
    ...(now?.telemetry === undefined ? {} : { telemetry: telemetryToWire(now.telemetry) }),
    fingerprint: keyFingerprint(agent.tunnelKey),
  };
}

export function tokenStatus(token: TokenState): pb.TokenStatus {
  const { id, services, host, roles, reusable, ephemeral, createdMs, expiresMs, uses, revoked } = token;
  const scope = { services: [...services], host, roles: rolesToWire(roles), reusable, ephemeral };
  return { tokenId: id, ...scope, createdMs, expiresMs, uses, revoked };
}

/** What a uint32 holds: sums of what agents say may be more. */
const MOST = 0xffffffff;

export function trafficListing(
  traffic: Pick<Traffic, 'list' | 'omitted'>,
  network: string,
): pb.Outgoing<pb.ListTrafficResponse> {
  return { traffic: traffic.list(network).map(trafficStatus), omitted: Math.min(MOST, traffic.omitted(network)) };
}

function trafficStatus({ lastDenied, ...told }: TrafficStatus): pb.Outgoing<pb.TrafficStatus> {
  const { source, sourceHost, service, destinationHost, open } = told;
  return {
    source,
    sourceHost,
    service,
    destinationHost,
    open: Math.min(MOST, open),
    openedPerSecond: told.openedPerSecond,
    deniedPerSecond: told.deniedPerSecond,
    failedPerSecond: told.failedPerSecond,
    bytesSentPerSecond: told.sentPerSecond,
    bytesReceivedPerSecond: told.receivedPerSecond,
    ...(lastDenied === undefined ? {} : { lastDenied: deniedToWire(lastDenied), lastDeniedMs: lastDenied.atMs }),
  };
}
