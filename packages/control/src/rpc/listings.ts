/** What the listings of the admin service and the dashboard show: the state, beside how agents fare now. */
import { defined, formatAddress, keyFingerprint } from '@weft/proto';
import {
  actionCodec,
  deniedToWire,
  type pb,
  portsToWire,
  reportToWire,
  rolesToWire,
  serviceToWire,
  telemetryToWire,
} from '@weft/proto/wire';
import type { Reach } from '../admin/reach.ts';
import type { LiveAgents } from '../fleet/live.ts';
import {
  behindMs,
  type FleetAgent,
  type FleetInstance,
  fleetAgents,
  fleetNetwork,
  fleetServices,
} from '../fleet/projection.ts';
import { byText } from '../order.ts';
import type { NetworkState, TokenState } from '../state/types.ts';
import type { Traffic, TrafficStatus } from '../traffic/types.ts';

export function networkStatus(
  network: NetworkState,
  live: LiveAgents,
  flowsDropped: number,
): pb.Outgoing<pb.NetworkStatus> {
  const { name, ...counts } = fleetNetwork(network, live);
  return { network: name, ...counts, flowsDropped };
}

export function serviceStatuses(network: NetworkState, live: LiveAgents): pb.Outgoing<pb.ServiceStatus>[] {
  return fleetServices(network, live)
    .sort((one, other) => byText(one.service.name, other.service.name))
    .map(({ service, address, instances }) => ({
      service: serviceToWire(service),
      vip: service.kind === 'worker' ? '' : formatAddress(address),
      instances: instances.map(instanceStatus),
    }));
}

function instanceStatus({ instance, agent, healthy, notListening }: FleetInstance): pb.InstanceStatus {
  return {
    ordinal: instance.ordinal,
    host: agent?.host ?? '',
    address: formatAddress(instance.address),
    healthy,
    notListening: portsToWire(notListening),
  };
}

export function agentStatuses(network: NetworkState, live: LiveAgents, nowMs: number): pb.Outgoing<pb.AgentStatus>[] {
  return fleetAgents(network, live)
    .sort((one, other) => byText(one.agent.host, other.agent.host))
    .map((agent) => agentStatus(agent, nowMs));
}

function agentStatus(now: FleetAgent, nowMs: number): pb.Outgoing<pb.AgentStatus> {
  const { agent, connected, lastSeenMs, enforcedRevision, kept, version, tags, report, telemetry } = now;
  return {
    agentId: agent.id,
    host: agent.host,
    connected,
    lastSeenMs,
    enforcedRevision,
    notKept: !kept,
    version,
    services: agent.services,
    roles: rolesToWire(agent.roles),
    ephemeral: agent.ephemeral,
    tags,
    tokenId: agent.tokenId,
    address: formatAddress(agent.address),
    ...defined({ report: report && reportToWire(report) }),
    behindMs: behindMs(now, nowMs),
    clockSkewMs: Math.trunc(now.clockSkewMs ?? 0),
    ...defined({ telemetry: telemetry && telemetryToWire(telemetry) }),
    fingerprint: keyFingerprint(agent.tunnelKey),
  };
}

export function tokenStatus({ id, secretHash: _, ...token }: TokenState): pb.Outgoing<pb.TokenStatus> {
  return { tokenId: id, ...token, roles: rolesToWire(token.roles) };
}

/** What a uint32 holds: sums of what agents say may be more. */
const MOST = 0xffffffff;

export function trafficListing(
  traffic: Pick<Traffic, 'list' | 'omitted'>,
  network: string,
): pb.Outgoing<pb.ListTrafficResponse> {
  return { traffic: traffic.list(network).map(trafficStatus), omitted: Math.min(MOST, traffic.omitted(network)) };
}

function trafficStatus(pair: TrafficStatus): pb.Outgoing<pb.TrafficStatus> {
  const { lastDenied, sentPerSecond: bytesSentPerSecond, receivedPerSecond: bytesReceivedPerSecond, ...told } = pair;
  return {
    ...told,
    open: Math.min(MOST, told.open),
    bytesSentPerSecond,
    bytesReceivedPerSecond,
    ...(lastDenied === undefined ? {} : { lastDenied: deniedToWire(lastDenied), lastDeniedMs: lastDenied.atMs }),
  };
}

export function reachStatus(reach: Reach): pb.Outgoing<pb.Reach> {
  return { ...reach, ports: portsToWire(reach.ports), verdict: actionCodec.toWire(reach.verdict) };
}
