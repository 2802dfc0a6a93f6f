/** The whole graph of a map, and the keys that tell when it must be laid out anew. */
import { edgesOf } from './build-edges.ts';
import { boxesOf, doorOf, type MapInput, nodesOf } from './build-nodes.ts';
import type { Grouping, MeshGraph } from './graph.ts';

export function buildGraph(input: MapInput, grouping: Grouping): MeshGraph {
  const door = doorOf(input);
  const nodes = nodesOf(input, grouping, door);
  const boxes = boxesOf(input, grouping, nodes);
  return { grouping, door, nodes, boxes, edges: edgesOf(input.traffic, nodes, grouping, door) };
}

/**
 * The same as long as the same nodes stand in the same boxes, whatever their rates, health and callers: while it is, nothing
 * on the map may move. Who calls whom matters only when places are sought, not once they are found.
 */
export function topologyKey(graph: MeshGraph): string {
  const parts: string[] = [graph.grouping];
  for (const box of graph.boxes.values()) parts.push(box.key, ...box.nodes, '');
  return parts.join('\n');
}
