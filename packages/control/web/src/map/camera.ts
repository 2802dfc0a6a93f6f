/** What part of the map is seen. Mouse, touch and trackpad by d3-zoom; buttons and keys by its programmatic side. */
import { select } from 'd3-selection';
import { type D3ZoomEvent, type ZoomBehavior, type ZoomTransform, zoom, zoomIdentity } from 'd3-zoom';
import { center, type Point, type Rect, type Size } from './places.ts';

export interface CameraEvents {
  /** `byHand` when a person moved it by mouse or touch. */
  readonly onMove: (view: ZoomTransform, byHand: boolean) => void;
  /** Nothing moved for a moment: time to draw sharply. */
  readonly onRest: (view: ZoomTransform) => void;
}

export const leastZoom = 0.04;
export const mostZoom = 3;
const restAfterMs = 140;
const glideMs = 260;

export class Camera {
  readonly #element: HTMLElement;
  readonly #events: CameraEvents;
  readonly #zoom: ZoomBehavior<HTMLElement, unknown>;
  #view: ZoomTransform = zoomIdentity;
  #resting: ReturnType<typeof setTimeout> | undefined;
  #gliding = 0;

  constructor(element: HTMLElement, events: CameraEvents) {
    this.#element = element;
    this.#events = events;
    this.#zoom = zoom<HTMLElement, unknown>()
      .scaleExtent([leastZoom, mostZoom])
      .clickDistance(5)
      .on('zoom', (event: D3ZoomEvent<HTMLElement, unknown>) => this.#moved(event));
    select(element).call(this.#zoom);
  }

  get view(): ZoomTransform {
    return this.#view;
  }

  get size(): Size {
    return { width: this.#element.clientWidth, height: this.#element.clientHeight };
  }

  /** Of the room's width to its height, less what the internet and its door take. */
  get ratio(): number {
    const { width, height } = this.size;
    return Math.max(0.6, Math.min(2.2, (width * 0.85) / Math.max(1, height)));
  }

  /** The part of the map that is seen. */
  get seen(): Rect {
    const { width, height } = this.size;
    const [x, y] = this.#view.invert([0, 0]);
    return { x, y, width: width / this.#view.k, height: height / this.#view.k };
  }

  toMap(point: Point): Point {
    const [x, y] = this.#view.invert([point.x, point.y]);
    return { x, y };
  }

  fit(all: Rect, glide: boolean): void {
    const { width, height } = this.size;
    if (width === 0 || height === 0) return;
    const margin = Math.min(48, width * 0.05);
    const most = width > 2400 ? 1.8 : 1.2;
    const scale = Math.min(most, (width - 2 * margin) / all.width, (height - 2 * margin) / all.height);
    this.#show(center(all), Math.max(leastZoom, scale), glide);
  }

  /** Brings a place to the middle, near enough to be read. */
  centre(rect: Rect, leastScale: number): void {
    this.#show(center(rect), Math.max(this.#view.k, leastScale), true);
  }

  /** Moves no further than it must for the place to be seen. */
  reveal(rect: Rect): void {
    const seen = this.seen;
    const margin = 40 / this.#view.k;
    const middle = center(seen);
    const across = shift(rect.x - margin, rect.width + 2 * margin, seen.x, seen.width);
    const down = shift(rect.y - margin, rect.height + 2 * margin, seen.y, seen.height);
    if (across !== 0 || down !== 0) this.#show({ x: middle.x + across, y: middle.y + down }, this.#view.k, true);
  }

  zoomBy(factor: number): void {
    this.#show(center(this.seen), Math.min(mostZoom, Math.max(leastZoom, this.#view.k * factor)), true);
  }

  close(): void {
    clearTimeout(this.#resting);
    cancelAnimationFrame(this.#gliding);
    select(this.#element).on('.zoom', null);
  }

  #show(middle: Point, scale: number, glide: boolean): void {
    const { width, height } = this.size;
    const start = this.#view;
    const target = zoomIdentity.translate(width / 2 - middle.x * scale, height / 2 - middle.y * scale).scale(scale);
    cancelAnimationFrame(this.#gliding);
    if (!glide || matchMedia('(prefers-reduced-motion: reduce)').matches) {
      this.#set(target);
      return;
    }
    const began = performance.now();
    const step = (now: number): void => {
      const time = Math.min(1, Math.max(0, now - began) / glideMs);
      const eased = 1 - (1 - time) ** 3;
      const mix = (from: number, to: number): number => from + (to - from) * eased;
      this.#set(zoomIdentity.translate(mix(start.x, target.x), mix(start.y, target.y)).scale(mix(start.k, target.k)));
      if (time < 1) this.#gliding = requestAnimationFrame(step);
    };
    this.#gliding = requestAnimationFrame(step);
  }

  #set(view: ZoomTransform): void {
    this.#zoom.transform(select(this.#element), view);
  }

  #moved(event: D3ZoomEvent<HTMLElement, unknown>): void {
    this.#view = event.transform;
    const byHand = event.sourceEvent !== null && event.sourceEvent !== undefined;
    if (byHand) cancelAnimationFrame(this.#gliding);
    this.#events.onMove(event.transform, byHand);
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => this.#events.onRest(this.#view), restAfterMs);
  }
}

/** How far to move so that a stretch lies within another; its beginning when it is too long. */
function shift(start: number, size: number, seenStart: number, seenSize: number): number {
  if (start < seenStart || size > seenSize) return start - seenStart;
  return Math.max(0, start + size - seenStart - seenSize);
}
