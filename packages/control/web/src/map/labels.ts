/** Where labels of lines stand, so that none covers another or a node. */
import { type Curve, pointAt } from './curve.ts';
import { center, overlaps, type Point, type Rect, type Size } from './places.ts';

export interface LabelWish {
  readonly key: string;
  readonly curve: Curve;
  readonly text: string;
  /** Rather over a node than not at all. */
  readonly isNeeded: boolean;
}

export interface LabelPlace {
  readonly key: string;
  /** Its middle, in the map's units. */
  readonly at: Point;
}

/** Along the line: the middle first, and its ends last. */
const stations = [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82] as const;
const characterWidth = 6.9;
const labelPadding = 16;
const labelHeight = 20;

/**
 * In the order of importance. Those for which there is no room are left out: they are shown again when the map is nearer.
 */
export function placeLabels(wishes: readonly LabelWish[], obstacles: readonly Rect[], zoom: number): LabelPlace[] {
  const taken: Rect[] = [];
  const placed: LabelPlace[] = [];
  for (const { key, curve, text, isNeeded } of wishes) {
    const width = (text.length * characterWidth + labelPadding) / zoom;
    const height = labelHeight / zoom;
    const size = { width, height };
    const free =
      firstFree(curve, size, [taken, obstacles], zoom) ??
      (isNeeded ? firstFree(curve, size, [taken], zoom) : undefined);
    if (free === undefined) continue;
    taken.push(free);
    placed.push({ key, at: center(free) });
  }
  return placed;
}

function firstFree(line: Curve, size: Size, taken: readonly (readonly Rect[])[], zoom: number): Rect | undefined {
  for (const aside of [0, -1, 1]) {
    for (const station of stations) {
      const { x, y } = pointAt(line, station);
      const top = y - size.height / 2 + aside * size.height * 0.8;
      const rect = { x: x - size.width / 2, y: top, ...size };
      if (!taken.some((others) => others.some((other) => overlaps(rect, other, 2 / zoom)))) return rect;
    }
  }
  return undefined;
}

/** Cut to what fits, with dots where it was cut. */
export function fitted(text: string, width: number, fontSize: number): string {
  const room = Math.floor(width / (fontSize * 0.6));
  return text.length <= room ? text : `${text.slice(0, Math.max(1, room - 1))}…`;
}
