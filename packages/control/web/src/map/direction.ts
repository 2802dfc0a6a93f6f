/** Where an arrow key leads: the nearest in that direction, with what lies straight ahead before what lies aside. */
import { center, type Rect } from './places.ts';

export type Direction = 'left' | 'right' | 'up' | 'down';

const unit = { left: [-1, 0], right: [1, 0], up: [0, -1], down: [0, 1] } as const;

/** Undefined when nothing lies there. */
export function nearest(from: string, direction: Direction, places: ReadonlyMap<string, Rect>): string | undefined {
  const start = places.get(from);
  if (start === undefined) return undefined;
  const origin = center(start);
  const [right, down] = unit[direction];
  let best: string | undefined;
  let bestCost = Infinity;
  for (const [key, rect] of places) {
    const point = center(rect);
    const ahead = (point.x - origin.x) * right + (point.y - origin.y) * down;
    const aside = Math.abs((point.x - origin.x) * down + (point.y - origin.y) * right);
    // Within 63 degrees of straight: all directions together miss nothing.
    if (key === from || ahead <= 0 || aside > ahead * 2) continue;
    const cost = ahead + aside * 2;
    if (cost < bestCost) [best, bestCost] = [key, cost];
  }
  return best;
}
