/** What lies under the pointer. Lines are thin, so what is near counts too. */
import { distanceTo } from './curve.ts';
import type { Level, Line } from './lines.ts';
import { contains, grown, type Point, type Rect } from './places.ts';
import type { Frame } from './plan.ts';

/** In pixels of the screen. */
const reach = 9;

export interface Target {
  readonly frame: Frame;
  readonly lines: readonly Line[];
  readonly level: Level;
  readonly zoom: number;
}

/** Key of a node, or else of a line, or else of a host's box; undefined for nothing. */
export function hit({ frame, lines, level, zoom }: Target, point: Point): string | undefined {
  for (const [key, rect] of frame.nodes) {
    if (isPointed(key, level) && contains(rect, point)) return key;
  }
  const boxed = [...frame.boxes].find(([key, rect]) => key.startsWith('box:host:') && contains(rect, point))?.[0];
  if (level === 'far' && boxed !== undefined) return boxed;
  return nearestLine(lines, point, reach / zoom) ?? boxed;
}

/** From afar, boxes stand for what is in them; where there are none, nodes are blocks and can be pointed at still. */
function isPointed(key: string, level: Level): boolean {
  return level !== 'far' || !key.includes('@box:host:');
}

function nearestLine(lines: readonly Line[], point: Point, within: number): string | undefined {
  let best: string | undefined;
  let bestDistance = within;
  for (const { key, trunk, curve } of lines) {
    if (trunk || !contains(grown(boxOf(curve.from, curve.leave, curve.enter, curve.to), within), point)) continue;
    const distance = distanceTo(curve, point);
    if (distance < bestDistance) [best, bestDistance] = [key, distance];
  }
  return best;
}

function boxOf(...points: readonly Point[]): Rect {
  const [xs, ys] = [points.map((point) => point.x), points.map((point) => point.y)];
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
}
