/** Finds nodes and hosts by what is typed: names that begin with it first, then those that hold it. */
import type { MeshGraph } from './graph.ts';

/** Keys of nodes and boxes, best first. */
export function search(graph: MeshGraph, text: string): string[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return [];
  const found: { key: string; score: number; name: string }[] = [];
  const names = [...graph.nodes.values(), ...graph.boxes.values()];
  for (const { key, name } of names) {
    const at = name.toLowerCase().indexOf(wanted);
    if (at === -1) continue;
    const score = name.length === wanted.length ? 0 : at === 0 ? 1 : 2;
    found.push({ key, score, name });
  }
  found.sort(
    (left, right) => left.score - right.score || (left.name < right.name ? -1 : left.name > right.name ? 1 : 0),
  );
  return found.map(({ key }) => key);
}
