/** Labels of lines. They keep their size at every zoom, so they lie on a layer that is shifted but never scaled. */

import { labelText, placeLabels } from './labels.ts';
import { type Line, type Lines, levelOf } from './lines.ts';
import { overlaps, type Point, type Rect } from './places.ts';
import type { Shown, View } from './view.ts';

/** Rates stand on lines only while so few are seen; names of rules as long as they are not many. */
const fewRates = 40;
const fewDenied = 24;
const mostLabels = 60;

export class LabelLayer {
  readonly #parent: HTMLElement;
  readonly #elements = new Map<string, { element: HTMLElement; at: Point }>();
  #zoom = 0;

  constructor(parent: HTMLElement) {
    this.#parent = parent;
    parent.replaceChildren();
  }

  move(view: View): void {
    this.#parent.style.transform = `translate(${view.x}px, ${view.y}px)`;
    if (view.k === this.#zoom) return;
    this.#zoom = view.k;
    for (const { element, at } of this.#elements.values()) this.#place(element, at);
  }

  draw(lines: Lines, shown: Shown, view: View, seen: Rect, obstacles: readonly Rect[]): void {
    this.#zoom = view.k;
    const near = obstacles.filter((rect) => overlaps(rect, seen, 0));
    const isFar = levelOf(view.k) === 'far';
    const wished = wishes(
      lines.lines.filter((line) => isSeen(line, seen)),
      shown.lit !== undefined,
    );
    const placed = placeLabels(
      wished.map(({ key, curve, label, type, trunk }) => ({
        key,
        curve,
        text: labelText(label),
        isNeeded: type === 'denied' && !trunk && !isFar,
      })),
      near,
      view.k,
      pageScale(),
    );
    const byKey = new Map(wished.map((line) => [line.key, line]));
    const kept = new Set(placed.map(({ key }) => key));
    for (const [key, { element }] of this.#elements) {
      if (kept.has(key)) continue;
      element.remove();
      this.#elements.delete(key);
    }
    for (const { key, at } of placed) {
      const line = byKey.get(key);
      if (line === undefined) continue;
      const element = this.#elements.get(key)?.element ?? this.#add();
      this.#elements.set(key, { element, at });
      const name =
        line.type === 'denied' ? 'map-label map-label-denied' : `map-label${line.failing ? ' map-label-failing' : ''}`;
      if (element.className !== name) element.className = name;
      const text = labelText(line.label);
      if (element.textContent !== text) element.textContent = text;
      this.#place(element, at);
    }
  }

  #add(): HTMLElement {
    return this.#parent.appendChild(document.createElement('span'));
  }

  #place(element: HTMLElement, at: Point): void {
    const [x, y] = [Math.round(at.x * this.#zoom), Math.round(at.y * this.#zoom)];
    element.style.transform = `translate(${x}px, ${y}px) translate(-50%, -50%)`;
  }
}

/** The page's letters grow with the screen (style sheet: root), and labels with them. */
export function pageScale(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize) / 16 || 1;
}

/** Denied first, then what is lit, then what fails, then the busiest. While something is lit, only what is lit. */
function wishes(lines: readonly Line[], fading: boolean): Line[] {
  const told = lines.filter((line) => line.label !== '' && (line.lit || !fading));
  const denied = told.filter((line) => line.type === 'denied');
  const flows = told.filter((line) => line.type === 'flow');
  const isFew = flows.length <= fewRates;
  const shownDenied = denied.filter((line) => line.lit || denied.length <= fewDenied);
  const shownFlows = flows.filter((line) => line.lit || isFew || line.failing);
  shownFlows.sort((left, right) => Number(right.failing) - Number(left.failing) || right.width - left.width);
  return [...shownDenied, ...shownFlows].slice(0, mostLabels);
}

function isSeen({ curve }: Line, seen: Rect): boolean {
  const { from, to } = curve;
  const rect = {
    x: Math.min(from.x, to.x),
    y: Math.min(from.y, to.y),
    width: Math.abs(from.x - to.x),
    height: Math.abs(from.y - to.y),
  };
  return overlaps(rect, seen, 0);
}
