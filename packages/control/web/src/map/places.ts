/** Sizes and places, in the map's own units: one is a CSS pixel at zoom 1. */

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Rect extends Size {
  readonly x: number;
  readonly y: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** What is given a place of its own: a host's box, or a service when all stand in one box. */
export interface Item extends Size {
  readonly key: string;
}

export interface Link {
  readonly from: string;
  readonly to: string;
}

export const card: Size = { width: 204, height: 48 };
export const cardGap: Size = { width: 28, height: 18 };
export const boxPadding = 16;
export const boxHeader = 38;
/** Between items: room for lines and their labels. */
export const itemGap = 72;
export const internetSize: Size = { width: 120, height: 92 };
export const doorSize: Size = { width: 76, height: 128 };
/** From the internet to the door, and from the door to what is inside. */
export const doorGap = 110;

export function center(rect: Rect): Point {
  return { x: rect.x + rect.width / 2, y: rect.y + rect.height / 2 };
}

export function overlaps(left: Rect, right: Rect, gap: number): boolean {
  return (
    left.x < right.x + right.width + gap &&
    right.x < left.x + left.width + gap &&
    left.y < right.y + right.height + gap &&
    right.y < left.y + left.height + gap
  );
}

export function contains(rect: Rect, point: Point): boolean {
  return point.x >= rect.x && point.x <= rect.x + rect.width && point.y >= rect.y && point.y <= rect.y + rect.height;
}

export function grown(rect: Rect, by: number): Rect {
  return { x: rect.x - by, y: rect.y - by, width: rect.width + 2 * by, height: rect.height + 2 * by };
}

/** Undefined for none. */
export function bounds(rects: Iterable<Rect>): Rect | undefined {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const rect of rects) {
    left = Math.min(left, rect.x);
    top = Math.min(top, rect.y);
    right = Math.max(right, rect.x + rect.width);
    bottom = Math.max(bottom, rect.y + rect.height);
  }
  return left === Infinity ? undefined : { x: left, y: top, width: right - left, height: bottom - top };
}
