/** The listings of the admin service, page by page: the state, beside how agents fare now. */
import { defined, ENDED_TOKEN_LISTED_MS, formatAddress, joinTokenEndMs, keyFingerprint } from '@weft/proto';
import {
  actionCodec,
  agentTelemetryToWire,
  agentViewCodec,
  callerToWire,
  durationToWire,
  type pb,
  portsToWire,
  reportedProtocolCodec,
  reportToWire,
  rightSourceCodec,
  rolesToWire,
  serviceToWire,
  timestampToWire,
} from '@weft/proto/wire';
import type { Reach, ReachOf } from '../admin/reach.ts';
import { addressHints } from '../fleet/address-hint.ts';
import type { LiveAgents } from '../fleet/live.ts';
import {
  behindMs,
  type FleetAgent,
  type FleetInstance,
  type FleetService,
  fleetAgentOf,
  fleetAgents,
  fleetNetwork,
  fleetServices,
} from '../fleet/projection.ts';
import type { NetworkState, TokenState } from '../state/types.ts';
import type { Traffic, TrafficStatus } from '../traffic/types.ts';
import { type Key, type PageRequest, pageOf, readPage } from './page.ts';

/** Names of hosts in one message of all networks: a whole fleet may be behind. */
const NAMED = 100;

export function networkStatus(network: NetworkState, live: LiveAgents, flowsDropped: number): pb.Outgoing<pb.Network> {
  const { name, behind, ...counts } = fleetNetwork(network, live);
  return { network: name, ...counts, flowsDropped, behind: behind.slice(0, NAMED), behindCount: behind.length };
}

/** By name. Throws RequestError, as all of these do. */
export function listServices(
  network: NetworkState,
  live: LiveAgents,
  request: PageRequest,
): pb.Outgoing<pb.Message<'ListServicesResponse'>> {
  const asked = readPage(request, { of: ['services', network.name], form: [''] });
  const { page, nextPageToken } = pageOf(fleetServices(network, live), asked, {
    key: ({ service }) => [service.name],
    tell: serviceStatus,
    weigh: ({ service, instances = [] }) =>
      instances.reduce(
        (weight, { notListening = [], opened = [] }) => weight + 1 + notListening.length + opened.length,
        1 + (service?.ports?.length ?? 0),
      ),
  });
  return { services: page, nextPageToken };
}

export function serviceStatus({ service, address, instances }: FleetService): pb.Outgoing<pb.ServiceStatus> {
  return {
    service: serviceToWire(service),
    addresses: service.kind === 'worker' ? [] : [formatAddress(address)],
    instances: instances.map(instanceStatus),
  };
}

function instanceStatus({
  instance,
  agent,
  connected,
  healthy,
  notListening,
  opened = [],
}: FleetInstance): pb.Instance {
  return {
    ordinal: instance.ordinal,
    host: agent?.host ?? '',
    addresses: [formatAddress(instance.address)],
    healthy,
    notListening: portsToWire(notListening),
    opened: portsToWire(opened),
    away: !connected,
  };
}

/** By host. */
export function listAgents(
  network: NetworkState,
  live: LiveAgents,
  request: PageRequest & Pick<pb.Message<'ListAgentsRequest'>, 'view'>,
  nowMs: number,
): pb.Outgoing<pb.Message<'ListAgentsResponse'>> {
  const asked = readPage(request, { of: ['agents', network.name], form: [''] });
  const whole = readView(request.view) === 'full';
  const fleetAgent = fleetAgentOf(network, live);
  const hintOf = addressHints(whole ? fleetAgents(network, live) : []);
  const { page, nextPageToken } = pageOf(network.agents.values(), asked, {
    key: ({ host }) => [host],
    tell: (agent) => {
      const now = fleetAgent(agent);
      return { now, status: agentStatus(now, nowMs, whole ? hintOf(now) : undefined) };
    },
    weigh: ({ now, status }) =>
      1 + now.agent.services.length + weightOfRights(status) + now.tags.length + (whole ? weightOf(now) : 0),
  });
  return { agents: page.map(({ status }) => status), nextPageToken };
}

const BASIC = agentViewCodec.toWire('basic');

/** Throws WireError. */
export function readView(view: number): ReturnType<typeof agentViewCodec.fromWire> {
  return agentViewCodec.fromWire(view || BASIC, 'view');
}

function weightOfRights({ rights = [] }: pb.Outgoing<pb.Agent>): number {
  return rights.reduce((weight, { services = [] }) => weight + 1 + services.length, 0);
}

/** A problem has a sentence, which is as much as ten names and numbers. */
function weightOf({ report, telemetry }: FleetAgent): number {
  const ports =
    report?.instances.reduce(
      (sum, { notListening, opened = [] }) => sum + 1 + notListening.length + opened.length,
      0,
    ) ?? 0;
  const told = report === undefined ? 0 : report.endpoints.length + ports + 10 * report.problems.length;
  return told + (telemetry?.peers.length ?? 0);
}

/** `addressHint`: undefined to leave out what it says of itself, and what control has to say of that. */
export function agentStatus(now: FleetAgent, nowMs: number, addressHint: string | undefined): pb.Outgoing<pb.Agent> {
  const whole = addressHint !== undefined;
  const { agent, connected, lastSeenMs, enforcedRevision, kept, version, capability, tags } = now;
  const [report, telemetry] = whole ? [now.report, now.telemetry] : [];
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
    earlierTokenIds: agent.earlierTokenIds,
    rights: rightsOf(now),
    addresses: [formatAddress(agent.address)],
    ...defined({ report: report && reportToWire(report) }),
    behind: durationToWire(behindMs(now, nowMs)),
    clockSkew: durationToWire(Math.trunc(now.clockSkewMs ?? 0)),
    ...defined({ telemetry: telemetry && agentTelemetryToWire(telemetry) }),
    fingerprint: keyFingerprint(agent.tunnelKey),
    ...(whole && { observedHost: now.observedHost, addressHint }),
  };
}

function rightsOf({ agent, said }: FleetAgent): NonNullable<pb.Outgoing<pb.Agent>['rights']> {
  const kept = agent.rights.map(({ tokenId, sinceMs, services, roles }) => ({
    source: rightSourceCodec.toWire(tokenId === '' ? 'grant' : 'token'),
    tokenId,
    services,
    roles: rolesToWire(roles),
    sinceTime: timestampToWire(sinceMs),
  }));
  return said.length === 0 ? kept : [...kept, { source: rightSourceCodec.toWire('mesh'), services: said }];
}

/** Newest first; of those that ended more than a day ago, all or none. */
export function listTokens(
  tokens: readonly TokenState[],
  network: string,
  request: PageRequest & Pick<pb.Message<'ListTokensRequest'>, 'all'>,
  nowMs: number,
): pb.Outgoing<pb.Message<'ListTokensResponse'>> {
  const asked = readPage(request, { of: ['tokens', network], form: [0, ''] });
  const listed = tokens.filter((token) => {
    return request.all || (joinTokenEndMs(token, nowMs) ?? nowMs) + ENDED_TOKEN_LISTED_MS >= nowMs;
  });
  const { page, nextPageToken } = pageOf(listed, asked, {
    key: ({ sequence, id }) => [-sequence, id],
    tell: (token) => tokenStatus(token, nowMs),
    weigh: ({ services = [] }) => 1 + services.length,
  });
  return { tokens: page, nextPageToken };
}

function tokenStatus(token: TokenState, nowMs: number): pb.Outgoing<pb.Token> {
  const { id: tokenId, services, host, roles, reusable, ephemeral, uses, revoked, replacedBy } = token;
  const told = { tokenId, services, host, roles: rolesToWire(roles), reusable, ephemeral, uses, revoked, replacedBy };
  return {
    ...told,
    expireTime: timestampToWire(token.expiresMs),
    createTime: timestampToWire(token.createdMs),
    endTime: timestampToWire(joinTokenEndMs(token, nowMs) ?? 0),
  };
}

/** What a uint32 holds: sums of what agents say may be more. */
const MOST = 0xffffffff;

/** By source, its host, service and host. */
export function listTraffic(
  traffic: Pick<Traffic, 'list' | 'omitted'>,
  network: string,
  request: PageRequest,
): pb.Outgoing<pb.ListTrafficResponse> {
  const asked = readPage(request, { of: ['traffic', network], form: ['', '', '', ''] });
  const { page, nextPageToken } = pageOf(traffic.list(network), asked, {
    key: ({ source, sourceHost, service, destinationHost }) => [source, sourceHost, service, destinationHost],
    tell: trafficStatus,
  });
  return { traffic: page, omitted: Math.min(MOST, traffic.omitted(network)), nextPageToken };
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

/** Services by name, hosts by name, then the internet; of a caller, in the order of its ports. */
export async function listReach(
  reach: ReachOf,
  network: NetworkState,
  request: pb.Message<'ListReachRequest'>,
  signal: AbortSignal,
): Promise<pb.Outgoing<pb.Message<'ListReachResponse'>>> {
  const { service } = request;
  const asked = readPage(request, { of: ['reach', network.name, service], form: [0, '', 0] });
  const [sort, name, index] = (asked.after ?? [0, '', -1]) as readonly [number, string, number];
  const found: { readonly key: Key; readonly one: Reach }[] = [];
  for await (const caller of reach(network, service, signal, [sort, name])) {
    found.push(...caller.reach.map((one, at) => ({ key: [...caller.place, at], one })));
    // One more than the page has, beside what of the first caller stood on the page before.
    if (found.length > asked.size + index + 1) break;
  }
  const { page, nextPageToken } = pageOf(found, asked, {
    key: ({ key }) => key,
    tell: ({ one }) => reachStatus(one),
    weigh: ({ ports = [] }) => 1 + ports.length,
  });
  return { reach: page, revision: network.revision, nextPageToken };
}

function reachStatus({ source, ...reach }: Reach): pb.Outgoing<pb.Reach> {
  const { ports, verdict } = reach;
  return {
    ...reach,
    caller: callerToWire(source),
    ports: portsToWire(ports),
    verdict: actionCodec.toWire(verdict),
  };
}
