/** What the agent says of itself: to control in its report, and to `weft status` on its socket. */
import {
  type AddressRange,
  addressKind,
  formatHostPort,
  formatPortRange,
  type HostPort,
  keyFingerprint,
  type PeerTunnels,
  portsNow,
  type Report,
  type ReportedSandbox,
} from '@weft/proto';
import type { AgentService } from '../config/agent-file.ts';
import type { DnsServer } from '../dns/index.ts';
import type { FlowRecorder } from '../flows/recorder.ts';
import type { HostExposure } from '../inbound/exposure.ts';
import type { TargetWatch } from '../inbound/target-watch.ts';
import type { Enrolment } from '../member/membership.ts';
import { runningOn } from '../netmap/running-on.ts';
import type { Outlook } from '../owner/outlook.ts';
import { localEndpoints } from '../tunnel/endpoints.ts';
import type { TunnelCounters, UnreachedPeer } from '../tunnel/types.ts';
import type { Netmap, NetmapSource } from '../words/netmap.ts';
import type { Problems } from '../words/problems.ts';
import type { AgentStatus, NameStatus, TargetStatus, UnreachableStatus, WorkerStatus } from './agent-status.ts';
import { mergePeers } from './telemetry.ts';

/** The numbers of all threads together. */
export interface AgentTotals {
  /** Live flows. */
  readonly flows: number;
  readonly counters: TunnelCounters;
  /** Listeners that are bound. */
  readonly listeners: number;
  readonly threads: readonly WorkerStatus[];
  /** Of each thread. */
  readonly peers: readonly (readonly PeerTunnels[])[];
  /** Of all threads. */
  readonly unreached: readonly UnreachedPeer[];
}

interface Described {
  readonly inbound: { readonly watch: Pick<TargetWatch, 'report'> };
  readonly totals: AgentTotals;
  /** Bound for tunnels. */
  readonly port: number;
  readonly problems: Pick<Problems, 'current'>;
  /** HOST:PORT; undefined when it is none. */
  readonly gateway: string | undefined;
  /** As asked for; the bound port is the tunnels' own. */
  readonly tunnel: HostPort;
  readonly advertise: string | undefined;
}

/** The report to control. `listeners`: how many it may hold at once. */
export function makeReport(
  parts: Described & {
    readonly listeners: number;
    readonly toldApart: ReadonlySet<string>;
    readonly othersAsHost: boolean;
    readonly exposed: () => HostExposure;
    readonly triedByPeers: boolean;
    readonly outlook: Outlook;
    readonly sandboxes: readonly ReportedSandbox[];
  },
): Report {
  const { inbound, port, totals, problems, gateway } = parts;
  return {
    endpoints: endpoints(parts),
    // What listens within the host is nowhere else, wherever control sees it.
    tunnelPort: addressKind(parts.tunnel.host) === 'loopback' ? 0 : port,
    instances: inbound.watch.report(),
    gatewayAddress: gateway ?? '',
    problems: problems.current,
    tunnels: totals.counters.open,
    flows: totals.flows,
    listeners: Number.isFinite(parts.listeners) ? parts.listeners : 0,
    toldApart: [...parts.toldApart],
    othersAsHost: parts.othersAsHost,
    exposed: parts.exposed().places.map((place) => ({ ...place, tries: [] })),
    triedByPeers: parts.triedByPeers,
    ...(parts.sandboxes.length > 0 && { sandboxes: [...parts.sandboxes] }),
    sight: parts.outlook.sight,
    sockets: parts.outlook.sockets,
  };
}

interface DescribedInFull extends Described {
  readonly inbound: Described['inbound'] & { readonly services: ReadonlyMap<string, AgentService> };
  readonly version: string;
  readonly startedMs: number;
  readonly member: Enrolment;
  readonly control: AgentStatus['control'] & { readonly revoked: boolean };
  readonly store: NetmapSource;
  readonly dns: Pick<DnsServer, 'address'>;
  readonly exposed: () => HostExposure;
  readonly recorder: FlowRecorder;
  readonly range: AddressRange;
  readonly sandboxes: NonNullable<AgentStatus['sandboxes']>;
  readonly callers: Outlook;
  /** Why datagrams go one by one; empty where they do not. */
  readonly native: string;
  /** Why records are sealed by node:crypto; empty where they are sealed in place. */
  readonly sealing: string;
  readonly second: () => AgentStatus['second'];
}

/** The answer of the status socket. */
export function describeAgent(parts: DescribedInFull): AgentStatus {
  const { member, control, store, dns, recorder, port, totals } = parts;
  const { network, agentId } = member.membership;
  const host = store.current.self?.host ?? member.membership.host;
  const staleSince = store.staleSinceMs === undefined ? null : new Date(store.staleSinceMs).toISOString();
  const { recorded, dropped } = recorder.counters;
  const peers = mergePeers(totals.peers);
  const exposed = parts.exposed();
  const second = parts.second();
  return {
    version: parts.version,
    startedMs: parts.startedMs,
    network,
    host,
    agentId,
    fingerprint: keyFingerprint(member.keys.tunnel.publicKey),
    state: control.revoked ? 'revoked' : staleSince === null ? 'connected' : 'stale',
    staleSince,
    control: { address: control.address, addresses: control.addresses, cause: control.cause },
    revision: store.current.revision,
    dns: formatHostPort(dns.address.host, dns.address.port),
    names: names(store.current),
    instances: parts.inbound.watch.report(),
    targets: targets(parts.inbound.services),
    listeners: { ports: totals.listeners },
    tunnel: {
      address: formatHostPort(parts.tunnel.host, port),
      endpoints: endpoints(parts),
      ...totals.counters,
      peers,
      unreachable: unreachable(totals.unreached, peers, store.current),
    },
    gateway: parts.gateway ?? '',
    flows: { open: totals.flows, recorded, dropped, recent: recorder.recent() },
    workers: totals.threads,
    ...(second === undefined ? {} : { second }),
    sandboxes: parts.sandboxes,
    callers: parts.callers,
    native: { used: parts.native === '', cause: parts.native },
    sealing: { inPlace: parts.sealing === '', cause: parts.sealing },
    problems: parts.problems.current,
    exposed: exposed.places,
    exposedUnknown: exposed.hidden,
  };
}

/** Asked anew each time: a laptop's addresses change. */
function endpoints({ advertise, tunnel, port }: Described): readonly string[] {
  return advertise === undefined ? localEndpoints(tunnel.host, port) : [advertise];
}

/** Each once, by host: those that no thread reaches, since the first that failed. */
function unreachable(
  unreached: readonly UnreachedPeer[],
  peers: readonly PeerTunnels[],
  netmap: Netmap,
): readonly UnreachableStatus[] {
  const reached = new Set(peers.filter(({ tunnels }) => tunnels > 0).map(({ host }) => host));
  const longest = new Map<string, UnreachedPeer>();
  for (const peer of unreached) {
    if (!reached.has(peer.host) && peer.forMs >= (longest.get(peer.host)?.forMs ?? 0)) longest.set(peer.host, peer);
  }
  const now = Date.now();
  const ids = new Map(Array.from(netmap.peers.values(), ({ host, agentId }) => [host, agentId]));
  return [...longest.values()]
    .sort((one, other) => (one.host < other.host ? -1 : 1))
    .map(({ forMs, ...rest }) => {
      const { runs, heard = null } = runningOn(netmap, ids.get(rest.host) ?? '');
      return { ...rest, since: new Date(now - forMs).toISOString(), runs, heard };
    });
}

function targets(services: ReadonlyMap<string, AgentService>): readonly TargetStatus[] {
  return [...services.values()].flatMap(({ name, targets }) =>
    targets.flatMap(({ port, protocol, targetPort }) =>
      port === targetPort ? [] : [{ service: name, port, protocol, targetPort }],
    ),
  );
}

function names({ services }: Netmap): readonly NameStatus[] {
  return [...services.values()].flatMap(({ service, address, opened, instances }): NameStatus[] => {
    if (service.kind === 'worker') return [];
    return [
      {
        name: `${service.name}.internal`,
        kind: service.kind,
        address: address ?? null,
        ports: portsNow(service.ports, opened).map(formatPortRange),
        ...(service.autoPorts === true && { opened: (opened ?? []).map(formatPortRange) }),
        instances: instances.length,
        healthy: instances.filter(({ healthy }) => healthy).length,
      },
    ];
  });
}
