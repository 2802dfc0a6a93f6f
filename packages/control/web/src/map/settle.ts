/** Places that stay put: what has one keeps it, and only what is new, or outgrew its own, seeks one near those it talks to. */
import { bounds, center, type Item, itemGap, type Link, overlaps, type Point, type Rect } from './places.ts';

/** Steps of the search. Everything found by it lies on this raster relative to where the search began. */
const step = 40;
const furthest = 200;

export interface SettleOptions {
  readonly gap: number;
  /** Nothing may stand left of it: there is the internet. */
  readonly leftMost: number;
}

/**
 * Undefined when so much is new that a layout of all makes a better map than any patch of the old one.
 */
export function settle(
  items: readonly Item[],
  links: readonly Link[],
  before: ReadonlyMap<string, Rect>,
  options: SettleOptions,
): Map<string, Rect> | undefined {
  const stays = items.filter((item) => before.has(item.key));
  if (stays.length === 0 || stays.length < items.length / 2) return undefined;
  const places = new Map<string, Rect>();
  // Those that did not grow go first: they cannot be in each other's way, so each keeps its place.
  const homeless: Item[] = [];
  for (const item of [...stays].sort((left, right) => growth(left, before) - growth(right, before))) {
    const rect = before.get(item.key);
    if (rect === undefined) continue;
    const wanted = { x: rect.x, y: rect.y, width: item.width, height: item.height };
    if (growth(item, before) > 0 && hits(wanted, places, options.gap / 2)) homeless.push(item);
    else places.set(item.key, wanted);
  }
  for (const item of [...homeless, ...items.filter((item) => !before.has(item.key))]) {
    places.set(item.key, free(item, wish(item, links, places, before), places, options));
  }
  return places;
}

function growth(item: Item, before: ReadonlyMap<string, Rect>): number {
  const rect = before.get(item.key);
  if (rect === undefined) return 0;
  return Math.max(0, item.width - rect.width) + Math.max(0, item.height - rect.height);
}

/** Where it stood, or amid those it talks to, or at the lower end of the map. */
function wish(
  item: Item,
  links: readonly Link[],
  places: ReadonlyMap<string, Rect>,
  before: ReadonlyMap<string, Rect>,
): Point {
  const old = before.get(item.key);
  if (old !== undefined) return { x: old.x, y: old.y };
  const near: Point[] = [];
  for (const { from, to } of links) {
    const other = from === item.key ? to : to === item.key ? from : undefined;
    const rect = other === undefined ? undefined : places.get(other);
    if (rect !== undefined) near.push(center(rect));
  }
  if (near.length > 0) {
    const sum = near.reduce((left, right) => ({ x: left.x + right.x, y: left.y + right.y }));
    return { x: sum.x / near.length - item.width / 2, y: sum.y / near.length - item.height / 2 };
  }
  const all = bounds(places.values());
  return all === undefined ? { x: 0, y: 0 } : { x: all.x, y: all.y + all.height + itemGap };
}

/** The free place nearest to the wish, in growing square rings around it. */
function free(item: Item, wanted: Point, places: ReadonlyMap<string, Rect>, options: SettleOptions): Rect {
  for (let ring = 0; ring < furthest; ring += 1) {
    let best: Rect | undefined;
    let bestDistance = Infinity;
    for (const [across, down] of ringOf(ring)) {
      const rect = { x: wanted.x + across * step, y: wanted.y + down * step, width: item.width, height: item.height };
      if (rect.x < options.leftMost || hits(rect, places, options.gap)) continue;
      const distance = across * across + down * down;
      if (distance < bestDistance) [best, bestDistance] = [rect, distance];
    }
    if (best !== undefined) return best;
  }
  // Further than anyone would look: below everything there is always room.
  const all = bounds(places.values());
  const y = all === undefined ? wanted.y : all.y + all.height + options.gap;
  return { x: Math.max(wanted.x, options.leftMost), y, width: item.width, height: item.height };
}

function* ringOf(ring: number): Generator<readonly [number, number]> {
  if (ring === 0) yield [0, 0];
  for (let along = -ring; along < ring; along += 1) {
    yield [along, -ring];
    yield [ring, along];
    yield [-along, ring];
    yield [-ring, -along];
  }
}

function hits(rect: Rect, places: ReadonlyMap<string, Rect>, gap: number): boolean {
  for (const other of places.values()) if (overlaps(rect, other, gap)) return true;
  return false;
}
