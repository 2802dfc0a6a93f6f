/**
 * Names under `internal`, most specific last:
 *
 *   redis               A      the VIP
 *   redis-discovery     A      every healthy instance's own address
 *   0.redis             A      one instance, healthy or not: the name says which is meant
 *   _6379._tcp.redis    SRV    healthy instances, as 0.redis.internal and so on
 *   build-3.host        A      the address that flows from that host come from; forward-confirms its PTR
 *
 * A worker has no name of any of these forms.
 */
import { includesPort, instanceListens, type Protocol, portsNow } from '@weft/proto';
import type { Netmap, NetmapInstance, NetmapService } from '../words/netmap.ts';
import { TTL } from './answer.ts';
import { empty, type Node, nothing, unserved } from './node.ts';

export const ZONE = 'internal';
const DISCOVERY = '-discovery';
const canonicalNumber = /^(?:0|[1-9]\d{0,9})$/;

/**
 * Whether a name is this network's to answer, known or not: one of a single label, one of a service or a host, and one with an
 * underscore, so that nobody else can answer for a service. Deeper names that nothing here ends in are the host's own
 * resolvers' (metadata.google.internal, host.docker.internal).
 */
export function isOurs(netmap: Netmap, labels: readonly string[]): boolean {
  const last = labels.at(-1) ?? '';
  if (labels.length < 2 || last === 'host' || labels.some((label) => label.startsWith('_'))) return true;
  return (
    netmap.services.has(last) || (last.endsWith(DISCOVERY) && netmap.services.has(last.slice(0, -DISCOVERY.length)))
  );
}

/**
 * Whether a whole name, be it in an answer from outside, leads to this network: one under `internal` that is ours, and a service's
 * bare name, which a search domain makes one. Before control has spoken once, nobody knows which are not.
 */
export function leadsInside(netmap: Netmap, labels: readonly string[]): boolean {
  if (labels.at(-1) === ZONE) return netmap.self === undefined || isOurs(netmap, labels.slice(0, -1));
  return labels.length === 1 && netmap.services.has(labels[0] ?? '');
}

/** What stands at these labels, `internal` itself left off; at least one. */
export function findForward(netmap: Netmap, labels: readonly string[]): Node {
  const last = labels.at(-1) ?? '';
  if (last === 'host') return findHost(netmap, labels.slice(0, -1));
  const found = netmap.services.get(last);
  if (found === undefined) return labels.length === 1 ? findDiscovery(netmap, last) : nothing;
  if (found.service.kind === 'worker') return nothing;
  const [first = '', second = ''] = labels;
  switch (labels.length) {
    case 1:
      return addressNode(found.address);
    case 2:
      return first.startsWith('_') ? findProtocol(found, first) : findInstance(found, first);
    case 3:
      return findPort(found, first, second);
    default:
      return nothing;
  }
}

function addressNode(address: string | undefined): Node {
  return address === undefined ? unserved : { at: 'records', records: [{ type: 'A', ttl: TTL, data: address }] };
}

function findHost(netmap: Netmap, labels: readonly string[]): Node {
  const [host] = labels;
  if (host === undefined) return empty;
  if (labels.length > 1) return nothing;
  if (netmap.self?.host === host) return addressNode(netmap.self.address);
  for (const peer of netmap.peers.values()) {
    if (peer.host === host) return addressNode(peer.address);
  }
  return nothing;
}

function findDiscovery(netmap: Netmap, label: string): Node {
  if (!label.endsWith(DISCOVERY)) return nothing;
  const found = netmap.services.get(label.slice(0, -DISCOVERY.length));
  if (found === undefined || found.service.kind === 'worker') return nothing;
  const healthy = found.instances.filter((instance) => instance.healthy);
  const addresses = healthy.flatMap((instance) => instance.address ?? []);
  if (addresses.length === 0) return healthy.length === 0 ? empty : unserved;
  return { at: 'records', rotates: true, records: addresses.map((data) => ({ type: 'A', ttl: TTL, data })) };
}

function findInstance(found: NetmapService, label: string): Node {
  if (!canonicalNumber.test(label)) return nothing;
  const ordinal = Number(label);
  const instance = found.instances.find((candidate) => candidate.ordinal === ordinal);
  return instance === undefined ? nothing : addressNode(instance.address);
}

/** `_tcp.redis` exists because `_6379._tcp.redis` does, RFC 8020. */
function findProtocol(found: NetmapService, label: string): Node {
  const protocol = protocolOf(label);
  return portsNow(found.service.ports, found.opened).some((range) => range.protocol === protocol) ? empty : nothing;
}

function findPort(found: NetmapService, portLabel: string, protocolLabel: string): Node {
  const protocol = protocolOf(protocolLabel);
  const digits = portLabel.slice(1);
  if (protocol === undefined || !portLabel.startsWith('_') || !canonicalNumber.test(digits)) return nothing;
  const port = Number(digits);
  if (!includesPort(portsNow(found.service.ports, found.opened), port, protocol)) return nothing;
  const targets = srvTargets(found, port, protocol);
  if (targets.length === 0) return found.instances.some((instance) => instance.healthy) ? unserved : empty;
  const named = targets.map(({ instance, address }) => ({
    name: `${instance.ordinal}.${instance.service}.${ZONE}`,
    address,
  }));
  return {
    at: 'records',
    rotates: true,
    records: named.map(({ name }) => ({ type: 'SRV', ttl: TTL, data: { priority: 0, weight: 0, port, target: name } })),
    additionals: named.map(({ name, address }) => ({ name, type: 'A', ttl: TTL, data: address })),
  };
}

/** Healthy instances, those alone that listen on the port where any does. */
function srvTargets(
  { service, instances }: NetmapService,
  port: number,
  protocol: Protocol,
): { instance: NetmapInstance; address: string }[] {
  const healthy = instances.flatMap((instance) =>
    instance.healthy && instance.address !== undefined ? [{ instance, address: instance.address }] : [],
  );
  const listening = healthy.filter(({ instance }) => instanceListens(service, instance, port, protocol));
  return listening.length > 0 ? listening : healthy;
}

function protocolOf(label: string): Protocol | undefined {
  if (label === '_tcp') return 'tcp';
  return label === '_udp' ? 'udp' : undefined;
}
