/** From a graph to what is to be placed, and from places found to where each box and node stands. */
import { doorKey, internetKey, type MeshGraph } from './graph.ts';
import {
  bounds,
  boxPadding,
  card,
  doorGap,
  doorSize,
  grown,
  type Item,
  internetSize,
  itemGap,
  type Link,
  type Rect,
  type Size,
} from './places.ts';
import { type Grid, gridOf, gridSize, slotRect } from './slots.ts';
import { endOf } from './trunks.ts';

export interface Layout {
  /** Of items: host boxes, or services where all stand in one box; and of the internet and its door. */
  readonly places: ReadonlyMap<string, Rect>;
  /** Of host boxes. */
  readonly grids: ReadonlyMap<string, Grid>;
}

/** Where everything stands that has a place already. */
export interface Frame {
  readonly nodes: ReadonlyMap<string, Rect>;
  readonly boxes: ReadonlyMap<string, Rect>;
  readonly all: Rect;
}

export const emptyLayout: Layout = { places: new Map(), grids: new Map() };

export function gridsOf(graph: MeshGraph, before: Layout): Map<string, Grid> {
  const grids = new Map<string, Grid>();
  if (graph.grouping === 'network') return grids;
  for (const box of graph.boxes.values()) {
    // A box of which nothing is left may take a better shape.
    const old = before.grids.get(box.key);
    const kept = old !== undefined && box.nodes.some((node) => old.slots.has(node)) ? old : undefined;
    grids.set(box.key, gridOf(box.nodes, kept));
  }
  return grids;
}

export function itemsOf(graph: MeshGraph, grids: ReadonlyMap<string, Grid>): Item[] {
  if (graph.grouping === 'host') return [...grids].map(([key, grid]) => ({ key, ...gridSize(grid) }));
  return [...graph.nodes.values()].filter((node) => node.box !== '').map(({ key }) => ({ key, ...card }));
}

/** Between items; what goes through the door is no reason to stand anywhere but near it. */
export function linksOf(graph: MeshGraph): Link[] {
  const links = [...graph.edges.values()].map(({ from, to }) =>
    graph.grouping === 'network' ? { from, to } : { from: endOf(graph, from), to: endOf(graph, to) },
  );
  return links.filter(({ from, to }) => from !== to && from !== internetKey && from !== doorKey);
}

/** How far items stand apart. */
export function gapOf(graph: MeshGraph): number {
  if (graph.grouping === 'network') return graph.nodes.size > 40 ? itemGap / 2.4 : itemGap;
  return graph.boxes.size > 16 ? itemGap : itemGap * 1.5;
}

/** The internet and its door, left of all, at half height. */
export function withDoor(places: ReadonlyMap<string, Rect>, margin: number): Map<string, Rect> {
  const inside = bounds(places.values()) ?? { x: 0, y: 0, width: 0, height: 0 };
  const middle = inside.y + inside.height / 2;
  // As large as the map is, so that the door is found from afar too.
  const times = Math.max(1, Math.min(5, Math.sqrt(inside.width * inside.height) / 900));
  const [door, internet] = [scaled(doorSize, times), scaled(internetSize, times)];
  const doorX = inside.x - margin - doorGap * times - door.width;
  const internetX = doorX - doorGap * times * 0.8 - internet.width;
  return new Map([
    ...places,
    [doorKey, { x: doorX, y: middle - door.height / 2, ...door }],
    [internetKey, { x: internetX, y: middle - internet.height / 2, ...internet }],
  ]);
}

function scaled({ width, height }: Size, times: number): Size {
  return { width: Math.round(width * times), height: Math.round(height * times) };
}

/** Room that the network's box takes around its services. */
export function marginOf(graph: MeshGraph): number {
  return graph.grouping === 'network' ? boxPadding * 2 : 0;
}

export function frameOf(graph: MeshGraph, layout: Layout): Frame | undefined {
  const nodes = new Map<string, Rect>();
  const boxes = new Map<string, Rect>();
  for (const node of graph.nodes.values()) {
    const place = layout.places.get(node.key);
    if (place !== undefined) {
      nodes.set(node.key, place);
      continue;
    }
    const [box, grid] = [layout.places.get(node.box), layout.grids.get(node.box)];
    if (box !== undefined && grid?.slots.has(node.key)) nodes.set(node.key, slotRect(box, grid, node.key));
  }
  for (const box of graph.boxes.values()) {
    const place = layout.places.get(box.key);
    const inside = box.kind === 'network' ? bounds(box.nodes.flatMap((node) => nodes.get(node) ?? [])) : place;
    if (inside === undefined) continue;
    boxes.set(box.key, box.kind === 'network' ? grown(inside, boxPadding * 2) : inside);
  }
  const all = bounds([...nodes.values(), ...boxes.values()]);
  return all === undefined ? undefined : { nodes, boxes, all };
}
