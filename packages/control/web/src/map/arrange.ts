/**
 * A layout of all: dagre finds the layers by who calls whom, and the order within each. For a few items its coordinates are
 * the layout. Many make layers far longer than a screen, so their order is kept and they are packed into a shape that fits.
 */
import { Graph, layout } from '@dagrejs/dagre';
import { bounds, type Item, itemGap, type Link, type Rect } from './places.ts';

/** Callers of one item that have a say in its layer: the time dagre takes grows with the square of them all. */
const linksEach = 2;
/** Another shape has to fit this much better than the one dagre drew, which shows better who calls whom. */
const betterBy = { few: 1.5, many: 1.1 } as const;
const few = 12;

export interface ArrangeOptions {
  readonly gap: number;
  /** Width to height of the room it is to fill. */
  readonly ratio: number;
}

/** For many: its coordinates are not used then, only layers and their order, and those have to come soon. */
const hasty = { ranker: 'longest-path' } as const;

interface Placed extends Item {
  readonly x: number;
  readonly y: number;
}

export function arrange(
  items: readonly Item[],
  links: readonly Link[],
  { gap, ratio }: ArrangeOptions,
): Map<string, Rect> {
  const drawn = byDagre(items, thinned(items, links), gap);
  let best = drawn;
  let bestScale = scale(drawn, ratio);
  const least = items.length <= few ? betterBy.few : betterBy.many;
  for (const packed of [inLayers(drawn, gap, ratio), inRows(drawn, gap, ratio)]) {
    if (scale(packed, ratio) <= bestScale * least) continue;
    [best, bestScale] = [packed, scale(packed, ratio)];
  }
  return new Map(best.map(({ key, x, y, width, height }) => [key, { x, y, width, height }]));
}

function byDagre(items: readonly Item[], links: readonly Link[], gap: number): Placed[] {
  const graph = new Graph();
  graph.setGraph({
    rankdir: 'LR',
    nodesep: gap,
    ranksep: gap + itemGap * (items.length > few ? 0.5 : 0.8),
    edgesep: 16,
    ...(items.length > 40 ? hasty : {}),
  });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { key, width, height } of items) graph.setNode(key, { width, height });
  for (const { from, to } of links) graph.setEdge(from, to);
  layout(graph);
  return items.map((item) => {
    const { x, y } = graph.node(item.key);
    return { ...item, x: (x ?? 0) - item.width / 2, y: (y ?? 0) - item.height / 2 };
  });
}

/** No loops, no doubles, and few for each that is called. */
function thinned(items: readonly Item[], links: readonly Link[]): Link[] {
  const known = new Set(items.map((item) => item.key));
  const most = items.length > 40 ? linksEach : Infinity;
  const count = new Map<string, number>();
  const seen = new Set<string>();
  return links.filter(({ from, to }) => {
    const key = `${from} ${to}`;
    const already = Math.max(count.get(`>${to}`) ?? 0, count.get(`<${from}`) ?? 0);
    if (from === to || seen.has(key) || already >= most || !known.has(from) || !known.has(to)) return false;
    seen.add(key);
    count.set(`>${to}`, (count.get(`>${to}`) ?? 0) + 1);
    count.set(`<${from}`, (count.get(`<${from}`) ?? 0) + 1);
    return true;
  });
}

/** How large it can be shown in a room of the wanted shape. */
function scale(placed: readonly Placed[], ratio: number): number {
  const all = bounds(placed);
  return all === undefined ? 1 : Math.min(ratio / all.width, 1 / all.height);
}

/** Each of dagre's layers as a block of columns no higher than the height that gives the best shape. */
function inLayers(drawn: readonly Placed[], gap: number, ratio: number): Placed[] {
  const layers = [...Map.groupBy(drawn, (item) => Math.round(item.x + item.width / 2))]
    .sort(([left], [right]) => left - right)
    .map(([, members]) => [...members].sort((left, right) => left.y - right.y));
  return bestOf(drawn, ratio, (height) => {
    const placed: Placed[] = [];
    let x = 0;
    for (const layer of layers) x = columns(layer, x, height, gap, placed) + itemGap;
    return placed;
  });
}

/** One after the other in columns, in the order of their layers. */
function inRows(drawn: readonly Placed[], gap: number, ratio: number): Placed[] {
  const order = [...drawn].sort((left, right) => left.x - right.x || left.y - right.y);
  return bestOf(drawn, ratio, (height) => {
    const placed: Placed[] = [];
    columns(order, 0, height, gap, placed);
    return placed;
  });
}

/** Appends to `placed`, each column centred on the line y = 0, and answers where the next begins. */
function columns(items: readonly Item[], left: number, height: number, gap: number, placed: Placed[]): number {
  let x = left;
  let column: Item[] = [];
  let used = 0;
  const close = (): void => {
    const width = Math.max(...column.map((item) => item.width));
    let y = -(used - gap) / 2;
    for (const item of column) {
      placed.push({ ...item, x: x + (width - item.width) / 2, y });
      y += item.height + gap;
    }
    x += width + gap;
    [column, used] = [[], 0];
  };
  for (const item of items) {
    if (column.length > 0 && used + item.height > height) close();
    column.push(item);
    used += item.height + gap;
  }
  if (column.length > 0) close();
  return x;
}

function bestOf(items: readonly Item[], ratio: number, pack: (height: number) => Placed[]): Placed[] {
  const tallest = Math.max(1, ...items.map((item) => item.height));
  const total = items.reduce((sum, item) => sum + item.height + itemGap, 0);
  let best: Placed[] = [];
  let bestScale = 0;
  for (let height = tallest; height <= total * 1.3; height *= 1.12) {
    const placed = pack(height);
    const size = scale(placed, ratio);
    if (size > bestScale) [best, bestScale] = [placed, size];
  }
  return best;
}
