/** A service's ports in pieces within which no rule tells one port from another, and pieces back to ranges. */
import {
  callablePorts,
  includesPort,
  type PortRange,
  type Protocol,
  type Rule,
  type RulePorts,
  type Service,
} from '@weft/proto';

/** Ordered by port, TCP before UDP. Each port of the service is in one piece, and one port of a piece speaks for all in it. */
export function portSegments(service: Service, rules: readonly Rule[]): PortRange[] {
  const edges = edgesOf(service, rules);
  const segments: PortRange[] = [];
  for (const { protocol, first, last } of callablePorts(service)) {
    let begin = first;
    for (const port of edges[protocol]) {
      if (port <= first || port > last) continue;
      segments.push({ protocol, first: begin, last: port - 1 });
      begin = port;
    }
    segments.push({ protocol, first: begin, last });
  }
  return segments.sort(byPort);
}

/** Ports at which a range of a rule, or the public port, begins, or before which it ends: each once, in order. */
function edgesOf(service: Service, rules: readonly Rule[]): Record<Protocol, readonly number[]> {
  const edges = { tcp: new Set<number>(), udp: new Set<number>() };
  const callable = callablePorts(service);
  // Rules may name far more ports than a service has: what is not among its own is not kept.
  const add = ({ protocol: about, first, last }: RulePorts): void => {
    for (const protocol of about === 'any' ? (['tcp', 'udp'] as const) : [about])
      for (const port of [first, last + 1]) if (includesPort(callable, port, protocol)) edges[protocol].add(port);
  };
  for (const { ports } of rules) for (const range of ports) add(range);
  if (service.public !== undefined) add({ protocol: 'tcp', first: service.public.port, last: service.public.port });
  const inOrder = (ports: ReadonlySet<number>) => [...ports].sort((one, other) => one - other);
  return { tcp: inOrder(edges.tcp), udp: inOrder(edges.udp) };
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
