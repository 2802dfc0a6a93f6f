/** What belongs to the thing that is pointed at: it stays bright while the rest fades. */
import type { MeshGraph } from './graph.ts';

/** Keys of nodes, boxes and edges. Undefined when the key is known no more. */
export function related(graph: MeshGraph, key: string): Set<string> | undefined {
  const edge = graph.edges.get(key);
  if (edge !== undefined) return new Set([key, edge.from, edge.to]);
  const box = graph.boxes.get(key);
  const centre = box === undefined ? (graph.nodes.has(key) ? [key] : []) : box.nodes;
  if (centre.length === 0 && box === undefined) return undefined;
  const inside = new Set(centre);
  const lit = new Set([key, ...inside]);
  for (const { key: line, from, to } of graph.edges.values()) {
    if (!inside.has(from) && !inside.has(to)) continue;
    lit.add(line).add(from).add(to);
  }
  for (const node of [...lit]) {
    const home = graph.nodes.get(node)?.box;
    if (home) lit.add(home);
  }
  return lit;
}
