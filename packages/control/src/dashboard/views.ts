/** What the page is shown of a network: the state, beside how its agents fare now. */
import {
  byText,
  defined,
  entryOf,
  formatAddress,
  formatPortRange,
  keyFingerprint,
  portsInWords,
  type ReportedSandbox,
  type Telemetry,
} from '@weft/proto';
import { addressHints } from '../fleet/address-hint.ts';
import type { LiveAgents, PeerRates } from '../fleet/live.ts';
import {
  type FleetAgent,
  type FleetInstance,
  type FleetService,
  fleetAgents,
  fleetNetwork,
  fleetServices,
} from '../fleet/projection.ts';
import type { NetworkState } from '../state/types.ts';
import type { TrafficStatus } from '../traffic/types.ts';
import type { AgentView, InstanceView, NetworkView, ProblemView, ServiceView, TrafficView, TunnelView } from './api.ts';

/** The zone that agents answer for. */
const ZONE = 'internal';
const TUNNELS_SHOWN = 64;
/** Subjects that are parts of the agent, though a service may be called the same. */
const OF_AGENT: ReadonlySet<string> = new Set(['agent', 'gateway', 'listeners', 'udp']);

export function networkView(
  network: NetworkState,
  live: LiveAgents,
  more: Pick<NetworkView, 'flowsDropped' | 'trafficOmitted' | 'olderData' | 'acceptsOlderData' | 'disk'>,
): NetworkView {
  return { ...fleetNetwork(network, live), ...more };
}

export function serviceViews(network: NetworkState, live: LiveAgents): ServiceView[] {
  const problems = problemsByService(network, live);
  return fleetServices(network, live).map((declared) =>
    serviceView(declared, problems.get(declared.service.name) ?? []),
  );
}

function serviceView({ service, address, instances }: FleetService, problems: readonly ProblemView[]): ServiceView {
  const { name, kind, tags, description } = service;
  const named = kind !== 'worker';
  return {
    name,
    kind,
    ports: portsInWords(service),
    ...(service.public === undefined ? {} : { public: { port: service.public.port, hosts: service.public.hosts } }),
    tags,
    ...defined({ description }),
    vip: named ? formatAddress(address) : '',
    names: named
      ? [
          `${name}.${ZONE}`,
          `${name}-discovery.${ZONE}`,
          ...instances.map(({ instance }) => `${instance.ordinal}.${name}.${ZONE}`),
        ]
      : [],
    instances: instances.map(instanceView),
    problems,
  };
}

function instanceView({ instance, agent, connected, healthy, notListening, opened = [] }: FleetInstance): InstanceView {
  return {
    ordinal: instance.ordinal,
    host: agent?.host ?? '',
    address: formatAddress(instance.address),
    healthy,
    connected,
    notListening: notListening.map(formatPortRange),
    ...(opened.length > 0 && { opened: opened.map(formatPortRange) }),
  };
}

/** Agents name a service in a problem's subject: `redis`, `redis:6379/tcp`, or of one copy `0.redis:6379/tcp`. */
function problemsByService(network: NetworkState, live: LiveAgents): Map<string, ProblemView[]> {
  const found = new Map<string, ProblemView[]>();
  for (const { id, host } of network.agents.values()) {
    for (const problem of live.agent(id)?.report?.problems ?? []) {
      const name = /^(?:\d+\.)?([a-z0-9-]+)(?::\d|$)/.exec(problem.subject)?.[1] ?? '';
      if (!network.services.has(name) || OF_AGENT.has(problem.subject)) continue;
      entryOf(found, name, () => []).push({ host, ...problem });
    }
  }
  return found;
}

export function agentViews(network: NetworkState, live: LiveAgents): AgentView[] {
  const agents = fleetAgents(network, live);
  const hintOf = addressHints(agents);
  return agents.map((agent) => agentView(agent, hintOf(agent)));
}

function agentView(now: FleetAgent, addressHint: string): AgentView {
  const { agent, connected, lastSeenMs, version, capability, enforcedRevision, enforcedSinceMs, behindSinceMs, tags } =
    now;
  const { report, telemetry, clockSkewMs } = now;
  return {
    id: agent.id,
    host: agent.host,
    connected,
    lastSeenMs,
    version,
    capability,
    enforcedRevision,
    enforcedSinceMs,
    behindSinceMs,
    services: agent.services,
    roles: agent.roles,
    gatewayAddress: report?.gatewayAddress ?? '',
    ephemeral: agent.ephemeral,
    tags,
    tokenId: agent.tokenId,
    earlierTokenIds: agent.earlierTokenIds,
    address: formatAddress(agent.address),
    endpoints: report?.endpoints ?? [],
    observedHost: now.observedHost,
    addressHint,
    fingerprint: keyFingerprint(agent.tunnelKey),
    ...defined({ clockSkewMs: clockSkewMs === undefined ? undefined : Math.round(clockSkewMs) }),
    ...(telemetry === undefined ? {} : telemetryView(telemetry)),
    openFlows: report?.flows ?? 0,
    ...tunnelViews(telemetry, now.peerRates),
    problems: (report?.problems ?? []).map((problem) => ({ host: agent.host, ...problem })),
    ...sandboxViews(report?.sandboxes ?? []),
  };
}

function sandboxViews(sandboxes: readonly ReportedSandbox[]): Pick<AgentView, 'sandboxes'> {
  const views = sandboxes.map((one) => ({ ...one, ports: one.ports.map(formatPortRange) }));
  return views.length === 0 ? {} : { sandboxes: views };
}

function telemetryView({
  loopDelayUs,
  flowsQueued,
  recordsLost,
}: Telemetry): Pick<AgentView, 'loopDelayMs' | 'flowsQueued' | 'recordsLost'> {
  return { loopDelayMs: tenths(loopDelayUs / 1_000), flowsQueued, recordsLost };
}

function tunnelViews(
  telemetry: Telemetry | undefined,
  rates: PeerRates,
): Pick<AgentView, 'tunnels' | 'tunnelsOmitted'> {
  const peers = telemetry?.peers ?? [];
  const busiest = peers.toSorted((one, other) => bytesOf(other) - bytesOf(one)).slice(0, TUNNELS_SHOWN);
  const tunnels = busiest
    .map(({ host, tunnels, roundTripUs, bytesSent, bytesReceived, pathSize }): TunnelView => {
      const { sentPerSecond = 0, receivedPerSecond = 0 } = rates.get(host) ?? {};
      return {
        host,
        tunnels,
        roundTripMs: hundredths(roundTripUs / 1_000),
        bytesSent,
        bytesReceived,
        sentPerSecond: Math.round(sentPerSecond),
        receivedPerSecond: Math.round(receivedPerSecond),
        pathSize,
      };
    })
    .sort((one, other) => byText(one.host, other.host));
  const omitted = peers.length - tunnels.length;
  return { tunnels, ...(omitted > 0 ? { tunnelsOmitted: omitted } : {}) };
}

function bytesOf({ bytesSent, bytesReceived }: Telemetry['peers'][number]): number {
  return bytesSent + bytesReceived;
}

export function trafficView(pair: TrafficStatus): TrafficView {
  return {
    ...pair,
    openedPerSecond: hundredths(pair.openedPerSecond),
    deniedPerSecond: hundredths(pair.deniedPerSecond),
    failedPerSecond: hundredths(pair.failedPerSecond),
    sentPerSecond: Math.round(pair.sentPerSecond),
    receivedPerSecond: Math.round(pair.receivedPerSecond),
  };
}

/** Digits that nobody reads would make every piece differ at every look. */
function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}
