/** A service's ports in pieces within which no rule tells one port from another, and pieces back to ranges. */
import { eachPort, type PortRange, type Protocol, type Rule, type RulePorts, type Service } from '@weft/proto';

/** Ordered by port, TCP before UDP. Each port of the service is in one piece, and one port of a piece speaks for all in it. */
export function portSegments(service: Service, rules: readonly Rule[]): PortRange[] {
  const edges = edgesWithin(service, rules);
  const segments: PortRange[] = [];
  for (const { protocol, first, last } of service.ports) {
    let begin = first;
    for (let port = first + 1; port <= last; port++) {
      if (!edges[protocol].has(port)) continue;
      segments.push({ protocol, first: begin, last: port - 1 });
      begin = port;
    }
    segments.push({ protocol, first: begin, last });
  }
  return segments.sort(byPort);
}

/** Ports of the service at which a range of a rule, or the public port, begins, or before which it ends. */
function edgesWithin(service: Service, rules: readonly Rule[]): Record<Protocol, Set<number>> {
  const declared = { tcp: new Set<number>(), udp: new Set<number>() };
  for (const { protocol, port } of eachPort(service.ports)) declared[protocol].add(port);
  const edges = { tcp: new Set<number>(), udp: new Set<number>() };
  // Rules may name far more ports than a service has: what is not among its own is not kept.
  const add = ({ protocol: about, first, last }: RulePorts): void => {
    for (const protocol of about === 'any' ? (['tcp', 'udp'] as const) : [about]) {
      if (declared[protocol].has(first)) edges[protocol].add(first);
      if (declared[protocol].has(last + 1)) edges[protocol].add(last + 1);
    }
  };
  for (const { ports } of rules) for (const range of ports) add(range);
  if (service.public !== undefined) add({ protocol: 'tcp', first: service.public.port, last: service.public.port });
  return edges;
}

/** Pieces that touch, made one. They come in the order of portSegments. */
export function mergeRanges(segments: readonly PortRange[]): PortRange[] {
  const merged: Record<Protocol, PortRange[]> = { tcp: [], udp: [] };
  for (const { protocol, first, last } of segments) {
    const ranges = merged[protocol];
    const previous = ranges.at(-1);
    if (previous?.last === first - 1) ranges[ranges.length - 1] = { ...previous, last };
    else ranges.push({ protocol, first, last });
  }
  return [...merged.tcp, ...merged.udp].sort(byPort);
}

function byPort(one: PortRange, other: PortRange): number {
  if (one.first !== other.first || one.protocol === other.protocol) return one.first - other.first;
  return one.protocol === 'tcp' ? -1 : 1;
}
