/** Lines gathered: all that passes between two boxes as one line, and of too many lines those that carry most. */
import { doorKey, internetKey, type MapEdge, type MeshGraph } from './graph.ts';
import { activity } from './rates.ts';

/** Both directions between two boxes. The internet and its door stand for themselves. */
export interface Trunk {
  readonly key: string;
  readonly from: string;
  readonly to: string;
  readonly flows: number;
  readonly bytes: number;
  readonly failed: number;
  /** Lines of denied attempts in it. */
  readonly denied: number;
  readonly edges: readonly string[];
}

export function endOf(graph: MeshGraph, node: string): string {
  return node === internetKey || node === doorKey ? node : (graph.nodes.get(node)?.box ?? node);
}

export function trunksOf(graph: MeshGraph): Map<string, Trunk> {
  const gathered = new Map<string, { from: string; to: string; edges: MapEdge[] }>();
  for (const edge of graph.edges.values()) {
    const [from, to] = [endOf(graph, edge.from), endOf(graph, edge.to)];
    if (from === to) continue;
    const outward = from === internetKey || from === doorKey || from < to;
    const [left, right] = outward ? [from, to] : [to, from];
    const key = `trunk ${left} ${right}`;
    const trunk = gathered.get(key) ?? { from: left, to: right, edges: [] };
    trunk.edges.push(edge);
    gathered.set(key, trunk);
  }
  return new Map([...gathered].map(([key, { from, to, edges }]) => [key, trunkOf(key, from, to, edges)]));
}

function trunkOf(key: string, from: string, to: string, edges: readonly MapEdge[]): Trunk {
  let [flows, bytes, failed, denied] = [0, 0, 0, 0];
  for (const edge of edges) {
    if (edge.type === 'denied') {
      denied += 1;
      continue;
    }
    flows += edge.openedPerSecond;
    bytes += edge.bytesPerSecond;
    failed += edge.failedPerSecond;
  }
  return { key, from, to, flows, bytes, failed, denied, edges: edges.map((edge) => edge.key) };
}

/**
 * At most `limit` keys, those of the greatest weight. One that was among them stays until it is clearly beaten, so that the
 * map does not flicker as rates sway.
 */
export function strongest(
  weights: ReadonlyMap<string, number>,
  before: ReadonlySet<string>,
  limit: number,
): Set<string> {
  if (weights.size <= limit) return new Set(weights.keys());
  const rank = (key: string, weight: number): number => (before.has(key) ? weight * 1.5 + 0.1 : weight);
  const ordered = [...weights].sort(([left, low], [right, high]) => {
    return rank(right, high) - rank(left, low) || (left < right ? -1 : 1);
  });
  return new Set(ordered.slice(0, limit).map(([key]) => key));
}

export function weightOf(edge: MapEdge): number {
  return edge.type === 'denied' ? 0 : activity(edge.openedPerSecond, edge.bytesPerSecond);
}
