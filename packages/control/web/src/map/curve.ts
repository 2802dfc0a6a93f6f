/** The line from one rectangle to another: one cubic curve, leaving and entering at the sides that face each other. */
import { center, type Point, type Rect } from './places.ts';

export interface Curve {
  readonly from: Point;
  readonly leave: Point;
  readonly enter: Point;
  readonly to: Point;
}

const steepest = 180;
const roomBeside = 40;

/**
 * `bend` shifts the line to the right of its own direction, so that there and back, and allowed and denied, are lines apart.
 */
export function curve(from: Rect, to: Rect, bend: number): Curve {
  if (from.x === to.x && from.y === to.y) return loop(from);
  const [start, end] = [center(from), center(to)];
  const apart = { x: gapOf(from.x, from.width, to.x, to.width), y: gapOf(from.y, from.height, to.y, to.height) };
  // Layers run from left to right, and above and below a node stand others: upright only where there is no room beside.
  if (apart.x >= roomBeside || apart.x >= apart.y) return sideways(from, to, start, end, Math.max(apart.x, 0), bend);
  return upright(from, to, start, end, apart.y, bend);
}

function sideways(from: Rect, to: Rect, start: Point, end: Point, apart: number, bend: number): Curve {
  const way = end.x >= start.x ? 1 : -1;
  const reach = Math.min(steepest, Math.max(18, apart * 0.5)) * way;
  const left = { x: start.x + (way * from.width) / 2, y: start.y + way * within(bend, from.height) };
  const right = { x: end.x - (way * to.width) / 2, y: end.y + way * within(bend, to.height) };
  return {
    from: left,
    leave: { x: left.x + reach, y: left.y + way * bend },
    enter: { x: right.x - reach, y: right.y + way * bend },
    to: right,
  };
}

function upright(from: Rect, to: Rect, start: Point, end: Point, apart: number, bend: number): Curve {
  const way = end.y >= start.y ? 1 : -1;
  const reach = Math.min(steepest, Math.max(10, apart * 0.5)) * way;
  const top = { x: start.x - way * within(bend, from.width), y: start.y + (way * from.height) / 2 };
  const bottom = { x: end.x - way * within(bend, to.width), y: end.y - (way * to.height) / 2 };
  return {
    from: top,
    leave: { x: top.x - way * bend, y: top.y + reach },
    enter: { x: bottom.x - way * bend, y: bottom.y - reach },
    to: bottom,
  };
}

/** A service that calls itself: out at the right end of the upper side and in again beside it. */
function loop(rect: Rect): Curve {
  const x = rect.x + rect.width;
  const from = { x: x - 14, y: rect.y };
  const to = { x, y: rect.y + 14 };
  return { from, leave: { x: from.x, y: from.y - 34 }, enter: { x: to.x + 34, y: to.y }, to };
}

/** Negative when they share a stretch. */
function gapOf(left: number, leftSize: number, right: number, rightSize: number): number {
  return Math.max(right - left - leftSize, left - right - rightSize);
}

function within(bend: number, size: number): number {
  const most = size / 2 - 8;
  return Math.max(-most, Math.min(most, bend));
}

export function pointAt({ from, leave, enter, to }: Curve, at: number): Point {
  const rest = 1 - at;
  const [a, b, c, d] = [rest ** 3, 3 * rest ** 2 * at, 3 * rest * at ** 2, at ** 3];
  return {
    x: a * from.x + b * leave.x + c * enter.x + d * to.x,
    y: a * from.y + b * leave.y + c * enter.y + d * to.y,
  };
}

export function pathOf({ from, leave, enter, to }: Curve): string {
  const text = (point: Point): string => `${Math.round(point.x * 10) / 10} ${Math.round(point.y * 10) / 10}`;
  return `M${text(from)}C${text(leave)} ${text(enter)} ${text(to)}`;
}

/** The part of it from its start to `at`, for a line that ends where it was stopped. */
export function until({ from, leave, enter, to }: Curve, at: number): Curve {
  const mix = (left: Point, right: Point): Point => ({
    x: left.x + (right.x - left.x) * at,
    y: left.y + (right.y - left.y) * at,
  });
  const [a, b, c] = [mix(from, leave), mix(leave, enter), mix(enter, to)];
  const [ab, bc] = [mix(a, b), mix(b, c)];
  return { from, leave: a, enter: ab, to: mix(ab, bc) };
}

/** About how far a point is from it, by pieces of a broken line. */
export function distanceTo(line: Curve, point: Point): number {
  let nearest = Infinity;
  let before = line.from;
  for (let piece = 1; piece <= 20; piece += 1) {
    const after = pointAt(line, piece / 20);
    nearest = Math.min(nearest, distanceToPiece(before, after, point));
    before = after;
  }
  return nearest;
}

function distanceToPiece(from: Point, to: Point, point: Point): number {
  const [x, y] = [to.x - from.x, to.y - from.y];
  const length = x * x + y * y;
  const along = length === 0 ? 0 : Math.max(0, Math.min(1, ((point.x - from.x) * x + (point.y - from.y) * y) / length));
  return Math.hypot(point.x - from.x - along * x, point.y - from.y - along * y);
}
