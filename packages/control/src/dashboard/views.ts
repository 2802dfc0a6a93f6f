/** What the page is shown of a network: the state, beside how its agents fare now. */
import { formatAddress, formatPortRange, keyFingerprint, type Problem, type Telemetry } from '@weft/proto';
import type { LiveAgent, LiveAgents } from '../fleet/live.ts';
import { byText } from '../order.ts';
import type { AgentState, InstanceState, NetworkState, ServiceState } from '../state/types.ts';
import type { TrafficStatus } from '../traffic/types.ts';
import type { AgentView, InstanceView, NetworkView, ProblemView, ServiceView, TrafficView, TunnelView } from './api.ts';

/** The zone that agents answer for. */
const ZONE = 'internal';
const TUNNELS_SHOWN = 64;
/** Subjects that are parts of the agent, though a service may be called the same. */
const OF_AGENT: ReadonlySet<string> = new Set(['agent', 'gateway']);

export function networkView(
  network: NetworkState,
  live: LiveAgents,
  lost: { readonly flowsDropped: number; readonly trafficOmitted: number },
): NetworkView {
  const connected = [...network.agents.values()].filter(({ id }) => live.agent(id)?.connected === true);
  const behind = connected.filter(({ id }) => (live.agent(id)?.enforcedRevision ?? 0) < network.revision);
  return {
    name: network.name,
    revision: network.revision,
    services: network.services.size,
    agents: network.agents.size,
    connected: connected.length,
    behind: behind.map(({ host }) => host).sort(byText),
    ...lost,
  };
}

export function serviceViews(network: NetworkState, live: LiveAgents): ServiceView[] {
  const copies = Map.groupBy(network.instances.values(), (instance) => instance.service);
  const problems = problemsByService(network, live);
  return Array.from(network.services.values(), (declared) => {
    const all = (copies.get(declared.service.name) ?? []).toSorted((one, other) => one.ordinal - other.ordinal);
    const instances = all.flatMap((instance) => instanceView(network, instance, live));
    return serviceView(declared, instances, problems.get(declared.service.name) ?? []);
  });
}

function serviceView(
  { service, address }: ServiceState,
  instances: readonly InstanceView[],
  problems: readonly ProblemView[],
): ServiceView {
  const { name, kind, ports, tags } = service;
  const named = kind !== 'worker';
  return {
    name,
    kind,
    ports: ports.map(formatPortRange),
    ...(service.public === undefined ? {} : { public: { port: service.public.port, hosts: service.public.hosts } }),
    tags,
    vip: named ? formatAddress(address) : '',
    names: named
      ? [
          `${name}.${ZONE}`,
          `${name}-discovery.${ZONE}`,
          ...instances.map(({ ordinal }) => `${ordinal}.${name}.${ZONE}`),
        ]
      : [],
    instances,
    problems,
  };
}

/** Nothing for a copy whose agent is connected and says that it does not run the service now. */
function instanceView(network: NetworkState, instance: InstanceState, live: LiveAgents): InstanceView[] {
  const now = live.instance(instance.agentId, instance.service);
  const connected = live.agent(instance.agentId)?.connected === true;
  if (now === undefined && connected) return [];
  return [
    {
      ordinal: instance.ordinal,
      host: network.agents.get(instance.agentId)?.host ?? '',
      address: formatAddress(instance.address),
      healthy: now?.healthy ?? false,
      connected,
      notListening: (now?.notListening ?? []).map(formatPortRange),
    },
  ];
}

/** Agents name a service in a problem's subject: `redis`, `redis:6379/tcp`, or of one copy `0.redis:6379/tcp`. */
function problemsByService(network: NetworkState, live: LiveAgents): Map<string, ProblemView[]> {
  const found = new Map<string, ProblemView[]>();
  for (const { id, host } of network.agents.values()) {
    for (const problem of live.agent(id)?.report?.problems ?? []) {
      const name = /^(?:\d+\.)?([a-z0-9-]+)(?::\d|$)/.exec(problem.subject)?.[1] ?? '';
      if (!network.services.has(name) || OF_AGENT.has(problem.subject)) continue;
      const before = found.get(name);
      if (before === undefined) found.set(name, [problemView(host, problem)]);
      else before.push(problemView(host, problem));
    }
  }
  return found;
}

function problemView(host: string, { code, subject, message }: Problem): ProblemView {
  return { host, code, subject, message };
}

export function agentViews(network: NetworkState, live: LiveAgents): AgentView[] {
  const tags = new Map(network.mesh.agents.map((agent) => [agent.name, agent.tags]));
  return Array.from(network.agents.values(), (agent) =>
    agentView(agent, tags.get(agent.host) ?? [], live.agent(agent.id)),
  );
}

function agentView(agent: AgentState, tags: readonly string[], now: LiveAgent | undefined): AgentView {
  const { report, telemetry, clockSkewMs } = now ?? {};
  return {
    id: agent.id,
    host: agent.host,
    connected: now?.connected ?? false,
    lastSeenMs: now?.lastSeenMs ?? 0,
    version: now?.version || agent.version,
    enforcedRevision: now?.enforcedRevision ?? 0,
    enforcedSinceMs: now?.enforcedSinceMs ?? 0,
    behindSinceMs: now?.behindSinceMs ?? 0,
    services: agent.services,
    roles: agent.roles,
    gatewayAddress: report?.gatewayAddress ?? '',
    ephemeral: agent.ephemeral,
    tags,
    tokenId: agent.tokenId,
    address: formatAddress(agent.address),
    fingerprint: keyFingerprint(agent.tunnelKey),
    ...(clockSkewMs === undefined ? {} : { clockSkewMs: Math.round(clockSkewMs) }),
    ...(telemetry === undefined ? {} : telemetryView(telemetry)),
    openFlows: report?.flows ?? 0,
    ...tunnelViews(telemetry, now?.peerRates),
    problems: (report?.problems ?? []).map((problem) => problemView(agent.host, problem)),
  };
}

function telemetryView({ loopDelayUs, flowsQueued }: Telemetry): Pick<AgentView, 'loopDelayMs' | 'flowsQueued'> {
  return { loopDelayMs: tenths(loopDelayUs / 1_000), flowsQueued };
}

function tunnelViews(
  telemetry: Telemetry | undefined,
  rates: LiveAgent['peerRates'] = new Map(),
): Pick<AgentView, 'tunnels' | 'tunnelsOmitted'> {
  const peers = telemetry?.peers ?? [];
  const busiest = peers.toSorted((one, other) => bytesOf(other) - bytesOf(one)).slice(0, TUNNELS_SHOWN);
  const tunnels = busiest
    .map(({ host, tunnels, roundTripUs, bytesSent, bytesReceived, datagrams }): TunnelView => {
      const { sentPerSecond = 0, receivedPerSecond = 0 } = rates.get(host) ?? {};
      return {
        host,
        tunnels,
        roundTripMs: hundredths(roundTripUs / 1_000),
        bytesSent,
        bytesReceived,
        sentPerSecond: Math.round(sentPerSecond),
        receivedPerSecond: Math.round(receivedPerSecond),
        datagrams,
      };
    })
    .sort((one, other) => byText(one.host, other.host));
  const omitted = peers.length - tunnels.length;
  return { tunnels, ...(omitted > 0 ? { tunnelsOmitted: omitted } : {}) };
}

function bytesOf({ bytesSent, bytesReceived }: Telemetry['peers'][number]): number {
  return bytesSent + bytesReceived;
}

export function trafficView({ lastDenied, ...pair }: TrafficStatus): TrafficView {
  return {
    source: pair.source,
    sourceHost: pair.sourceHost,
    service: pair.service,
    destinationHost: pair.destinationHost,
    open: pair.open,
    openedPerSecond: hundredths(pair.openedPerSecond),
    deniedPerSecond: hundredths(pair.deniedPerSecond),
    failedPerSecond: hundredths(pair.failedPerSecond),
    sentPerSecond: Math.round(pair.sentPerSecond),
    receivedPerSecond: Math.round(pair.receivedPerSecond),
    ...(lastDenied === undefined
      ? {}
      : {
          lastDenied: {
            port: lastDenied.port,
            protocol: lastDenied.protocol,
            rule: lastDenied.rule,
            revision: lastDenied.revision,
            atMs: lastDenied.atMs,
          },
        }),
  };
}

/** Digits that nobody reads would make every piece differ at every look. */
function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}
