/** From pairs of traffic to the lines of the map. What several pairs share is one line, its rates summed. */
import type { TrafficView } from '../../../src/dashboard/api.ts';
import {
  type DeniedEdge,
  type Door,
  doorKey,
  type FlowEdge,
  type Grouping,
  hostBoxKey,
  internetKey,
  type MapEdge,
  type MapNode,
  networkBoxKey,
  processKey,
  serviceKey,
} from './graph.ts';

export function edgesOf(
  traffic: readonly TrafficView[],
  nodes: ReadonlyMap<string, MapNode>,
  grouping: Grouping,
  door: Door,
): Map<string, MapEdge> {
  const edges = new Map<string, MapEdge>();
  const somewhere = firstOfService(nodes);
  if (door.state !== 'closed') {
    add(edges, flow(internetKey, doorKey, 'internet', ''));
    for (const node of nodes.values()) {
      if (node.public && node.instances > 0) add(edges, flow(doorKey, node.key, 'internet', node.service));
    }
  }
  for (const pair of traffic) {
    const from = sourceNode(pair, nodes, grouping) ?? somewhere.get(pair.source);
    const to = destinationNode(pair, from, nodes, grouping) ?? somewhere.get(pair.service);
    // A service that is gone may have traffic for some seconds more; it has no place to be drawn at.
    if (from === undefined || to === undefined) continue;
    if (moves(pair)) {
      add(edges, moved(pair, from, to));
      if (from === doorKey) add(edges, moved({ ...pair, service: '' }, internetKey, doorKey));
    }
    if (pair.deniedPerSecond > 0 || pair.lastDenied !== undefined) add(edges, denied(pair, from, to));
  }
  return edges;
}

function sourceNode(pair: TrafficView, nodes: ReadonlyMap<string, MapNode>, grouping: Grouping): string | undefined {
  if (pair.source === 'internet') return doorKey;
  if (pair.source.startsWith('host:')) {
    const host = pair.source.slice('host:'.length);
    return known(nodes, processKey(pair.source, grouping === 'network' ? networkBoxKey : hostBoxKey(host)));
  }
  return known(nodes, serviceKey(pair.source, grouping === 'network' ? networkBoxKey : hostBoxKey(pair.sourceHost)));
}

/** When no instance was reached, the one beside the caller, if there is one, is where the line leads. */
function destinationNode(
  pair: TrafficView,
  from: string | undefined,
  nodes: ReadonlyMap<string, MapNode>,
  grouping: Grouping,
): string | undefined {
  if (grouping === 'network') return known(nodes, serviceKey(pair.service, networkBoxKey));
  if (pair.destinationHost !== '') return known(nodes, serviceKey(pair.service, hostBoxKey(pair.destinationHost)));
  const beside = serviceKey(pair.service, nodes.get(from ?? '')?.box ?? '');
  return beside === from ? undefined : known(nodes, beside);
}

function known(nodes: ReadonlyMap<string, MapNode>, key: string): string | undefined {
  return nodes.has(key) ? key : undefined;
}

function firstOfService(nodes: ReadonlyMap<string, MapNode>): Map<string, string> {
  const first = new Map<string, string>();
  for (const node of nodes.values()) {
    if (node.service !== '' && !first.has(node.service)) first.set(node.service, node.key);
  }
  return first;
}

function moves(pair: TrafficView): boolean {
  const { open, openedPerSecond, failedPerSecond, sentPerSecond, receivedPerSecond } = pair;
  return open + openedPerSecond + failedPerSecond + sentPerSecond + receivedPerSecond > 0 || !pair.lastDenied;
}

function flow(from: string, to: string, source: string, service: string): FlowEdge {
  const key = `flow ${from} ${to}`;
  const still = { open: 0, openedPerSecond: 0, failedPerSecond: 0, bytesPerSecond: 0 };
  return { key, type: 'flow', from, to, source, service, ...still };
}

function moved(pair: TrafficView, from: string, to: string): FlowEdge {
  return {
    ...flow(from, to, pair.source, pair.service),
    open: pair.open,
    openedPerSecond: pair.openedPerSecond,
    failedPerSecond: pair.failedPerSecond,
    bytesPerSecond: pair.sentPerSecond + pair.receivedPerSecond,
  };
}

function denied(pair: TrafficView, from: string, to: string): DeniedEdge {
  const last = pair.lastDenied;
  const suffix = last?.protocol === 'udp' ? '/udp' : '';
  return {
    key: `denied ${from} ${to}`,
    type: 'denied',
    from,
    to,
    source: pair.source,
    service: pair.service,
    deniedPerSecond: pair.deniedPerSecond,
    rule: last?.rule ?? '',
    port: last === undefined ? '' : `${last.port}${suffix}`,
    revision: last?.revision ?? 0,
    atMs: last?.atMs ?? 0,
  };
}

function add(edges: Map<string, MapEdge>, edge: MapEdge): void {
  const before = edges.get(edge.key);
  edges.set(edge.key, before === undefined ? edge : sum(before, edge));
}

function sum(left: MapEdge, right: MapEdge): MapEdge {
  if (left.type === 'flow' && right.type === 'flow') {
    return {
      ...left,
      open: left.open + right.open,
      openedPerSecond: left.openedPerSecond + right.openedPerSecond,
      failedPerSecond: left.failedPerSecond + right.failedPerSecond,
      bytesPerSecond: left.bytesPerSecond + right.bytesPerSecond,
    };
  }
  if (left.type === 'denied' && right.type === 'denied') {
    const newer = right.atMs > left.atMs ? right : left;
    return { ...newer, deniedPerSecond: left.deniedPerSecond + right.deniedPerSecond };
  }
  return left;
}
