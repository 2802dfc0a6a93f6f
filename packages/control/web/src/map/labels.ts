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
const characterWidth = 7.2;
const labelPadding = 16;
const labelHeight = 20;
/** A longer one would cover what its line connects; it is told whole beside the map, and when pointed at. */
const mostCharacters = 24;

/** As it stands on the line. */
export function labelText(text: string): string {
  return cut(text, mostCharacters);
}

/**
 * In the order of importance. Those for which there is no room are left out: they are shown again when the map is nearer.
 * `scale` is how much larger than usual the page's letters are.
 */
export function placeLabels(
  wishes: readonly LabelWish[],
  obstacles: readonly Rect[],
  zoom: number,
  scale = 1,
): LabelPlace[] {
  const taken: Rect[] = [];
  const placed: LabelPlace[] = [];
  for (const { key, curve, text, isNeeded } of wishes) {
    const width = ((text.length * characterWidth + labelPadding) * scale) / zoom;
    const height = (labelHeight * scale) / zoom;
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

/** Of a text in bold letters, in heights of them: about, and rather too wide. */
export function widthOf(text: string): number {
  let width = 0;
  for (const letter of text) width += letterWidth(letter);
  return width;
}

function letterWidth(letter: string): number {
  if (/[ijl.,:;|!']/.test(letter)) return 0.34;
  if (/[frt\-() ]/.test(letter)) return 0.44;
  if (/[mwMW@%…]/.test(letter)) return 0.98;
  return /[A-Z]/.test(letter) ? 0.75 : 0.64;
}

/** Cut to what fits, with dots where it was cut. */
export function fitted(text: string, width: number, fontSize: number): string {
  const room = width / fontSize;
  for (let kept = text.length; kept > 2; kept -= 1) {
    const short = cut(text, kept);
    if (widthOf(short) <= room) return short;
  }
  return cut(text, 2);
}

/** In the middle: names of many begin alike, and a number at the end tells them apart. */
function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  const kept = Math.max(1, most - 1);
  const head = Math.floor(kept * 0.45);
  return `${text.slice(0, head)}…${text.slice(text.length - (kept - head))}`;
}
