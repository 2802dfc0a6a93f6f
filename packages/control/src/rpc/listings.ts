/** What the listings of the admin service and the dashboard show: the state, beside how agents fare now. */
import { defined, formatAddress, keyFingerprint } from '@weft/proto';
import {
  actionCodec,
  agentTelemetryToWire,
  callerToWire,
  durationToWire,
  type pb,
  portsToWire,
  reportedProtocolCodec,
  reportToWire,
  rolesToWire,
  serviceToWire,
  timestampToWire,
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

export function networkStatus(network: NetworkState, live: LiveAgents, flowsDropped: number): pb.Outgoing<pb.Network> {
  const { name, ...counts } = fleetNetwork(network, live);
  return { network: name, ...counts, flowsDropped };
}

export function serviceStatuses(network: NetworkState, live: LiveAgents): pb.Outgoing<pb.ServiceStatus>[] {
  return fleetServices(network, live)
    .sort((one, other) => byText(one.service.name, other.service.name))
    .map(({ service, address, instances }) => ({
      service: serviceToWire(service),
      addresses: service.kind === 'worker' ? [] : [formatAddress(address)],
      instances: instances.map(instanceStatus),
    }));
}

function instanceStatus({ instance, agent, healthy, notListening }: FleetInstance): pb.Instance {
  return {
    ordinal: instance.ordinal,
    host: agent?.host ?? '',
    addresses: [formatAddress(instance.address)],
    healthy,
    notListening: portsToWire(notListening),
  };
}

export function agentStatuses(network: NetworkState, live: LiveAgents, nowMs: number): pb.Outgoing<pb.Agent>[] {
  return fleetAgents(network, live)
    .sort((one, other) => byText(one.agent.host, other.agent.host))
    .map((agent) => agentStatus(agent, nowMs));
}

function agentStatus(now: FleetAgent, nowMs: number): pb.Outgoing<pb.Agent> {
  const { agent, connected, lastSeenMs, enforcedRevision, kept, version, capability, tags, report, telemetry } = now;
  return {
    agentId: agent.id,
    host: agent.host,
    connected,
    lastSeenTime: timestampToWire(lastSeenMs),
    enforcedRevision,
    notKept: !kept,
    version,
    capability,
    services: agent.services,
    roles: rolesToWire(agent.roles),
    ephemeral: agent.ephemeral,
    tags,
    tokenId: agent.tokenId,
    addresses: [formatAddress(agent.address)],
    ...defined({ report: report && reportToWire(report) }),
    behind: durationToWire(behindMs(now, nowMs)),
    clockSkew: durationToWire(Math.trunc(now.clockSkewMs ?? 0)),
    ...defined({ telemetry: telemetry && agentTelemetryToWire(telemetry) }),
    fingerprint: keyFingerprint(agent.tunnelKey),
  };
}

export function tokenStatus(token: TokenState): pb.Outgoing<pb.Token> {
  const { id: tokenId, services, host, roles, reusable, ephemeral, uses, revoked } = token;
  const told = { tokenId, services, host, roles: rolesToWire(roles), reusable, ephemeral, uses, revoked };
  return { ...told, expireTime: timestampToWire(token.expiresMs), createTime: timestampToWire(token.createdMs) };
}

/** What a uint32 holds: sums of what agents say may be more. */
const MOST = 0xffffffff;

export function trafficListing(
  traffic: Pick<Traffic, 'list' | 'omitted'>,
  network: string,
): pb.Outgoing<pb.ListTrafficResponse> {
  return { traffic: traffic.list(network).map(trafficStatus), omitted: Math.min(MOST, traffic.omitted(network)) };
}

function trafficStatus(pair: TrafficStatus): pb.Outgoing<pb.Traffic> {
  const { source, lastDenied, sentPerSecond, receivedPerSecond, ...told } = pair;
  return {
    ...told,
    caller: callerToWire(source),
    open: Math.min(MOST, told.open),
    bytesSentPerSecond: sentPerSecond,
    bytesReceivedPerSecond: receivedPerSecond,
    ...defined({ lastDenied: lastDenied && denial(lastDenied) }),
  };
}

function denial({ atMs, ...denied }: NonNullable<TrafficStatus['lastDenied']>): pb.Outgoing<pb.Denial> {
  return { ...denied, protocol: reportedProtocolCodec.toWire(denied.protocol), time: timestampToWire(atMs) };
}

export function reachStatus({ source, ...reach }: Reach): pb.Outgoing<pb.Reach> {
  const { ports, verdict } = reach;
  return {
    ...reach,
    caller: callerToWire(source),
    ports: portsToWire(ports),
    verdict: actionCodec.toWire(verdict),
  };
}
