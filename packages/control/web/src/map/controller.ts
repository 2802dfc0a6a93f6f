/** One map on the page: data in, keys and pointer in; what is drawn, read out and chosen follows. */
import { type Signal, signal } from '@preact/signals';
import { buildGraph } from './build.ts';
import type { MapInput } from './build-nodes.ts';
import { Camera } from './camera.ts';
import { type Direction, nearest } from './direction.ts';
import { related } from './focus.ts';
import type { Grouping, MeshGraph } from './graph.ts';
import { hit } from './hit.ts';
import { LayoutKeeper, type LayoutMemory } from './keeper.ts';
import { WorkerLayouter } from './layouter.ts';
import type { Lines } from './lines.ts';
import type { Point, Rect } from './places.ts';
import { type Frame, frameOf } from './plan.ts';
import { Scene } from './scene.ts';
import { search } from './search.ts';

export interface MapParts {
  readonly viewport: HTMLElement;
  readonly stage: HTMLElement;
  readonly labels: HTMLElement;
}

export interface Choice {
  onSelectService(name: string): void;
  onSelectEdge(edge: { source: string; service: string }): void;
}

/** What the parts around the map show of it. */
export interface MapSigns {
  readonly graph: Signal<MeshGraph | undefined>;
  readonly lines: Signal<Lines | undefined>;
  readonly ready: Signal<boolean>;
  /** Key of what the keyboard is at, of what the pointer is at, of what is chosen. */
  readonly focused: Signal<string | undefined>;
  readonly hovered: Signal<string | undefined>;
  readonly selected: Signal<string | undefined>;
}

export function mapSigns(): MapSigns {
  return {
    graph: signal(undefined),
    lines: signal(undefined),
    ready: signal(false),
    focused: signal(undefined),
    hovered: signal(undefined),
    selected: signal(undefined),
  };
}

const readable = 0.95;
const panStep = 1.3;

export class MapController {
  readonly #signs: MapSigns;
  readonly #choice: Choice;
  readonly #camera: Camera;
  readonly #scene: Scene;
  readonly #keeper: LayoutKeeper;
  readonly #viewport: HTMLElement;
  readonly #resize: ResizeObserver;
  #grouping: Grouping;
  #input: MapInput | undefined;
  #built: { readonly input: MapInput; readonly graph: MeshGraph } | undefined;
  #frame: Frame | undefined;
  #found: readonly string[] = [];
  #foundAt = 0;
  #asked = 0;
  /** Nobody moved the map yet: it is fitted to its room as both change. */
  #untouched: boolean = true;
  #fitted: boolean = false;

  constructor(parts: MapParts, signs: MapSigns, choice: Choice, grouping: Grouping, memory: LayoutMemory) {
    this.#signs = signs;
    this.#choice = choice;
    this.#grouping = grouping;
    this.#viewport = parts.viewport;
    this.#scene = new Scene(parts.stage, parts.labels);
    this.#camera = new Camera(parts.viewport, {
      onMove: (view, byHand) => {
        if (byHand) this.#untouched = false;
        this.#scene.move(view, true);
      },
      onRest: (view) => {
        this.#scene.move(view, false);
        this.#ask();
      },
    });
    this.#keeper = new LayoutKeeper({
      memory,
      finder: new WorkerLayouter(),
      ratio: () => this.#camera.ratio,
      onFound: (anew) => {
        if (anew) this.#fitted = false;
        this.#draw();
        if (!anew) this.fit();
      },
    });
    this.#resize = new ResizeObserver(() => {
      if (this.#untouched) this.#fitted = false;
      this.#ask();
    });
    this.#resize.observe(parts.viewport);
    parts.viewport.addEventListener('pointermove', this.#onPointer);
    parts.viewport.addEventListener('pointerleave', this.#onLeave);
    parts.viewport.addEventListener('click', this.#onClick);
  }

  update(input: MapInput): void {
    this.#input = input;
    this.#ask();
  }

  group(grouping: Grouping): void {
    if (grouping === this.#grouping) return;
    this.#grouping = grouping;
    this.#fitted = false;
    this.#untouched = true;
    this.#pick('focused', undefined);
    this.#pick('selected', undefined);
    this.#draw();
  }

  tidy(): void {
    const graph = this.#signs.graph.value;
    if (graph !== undefined) this.#keeper.tidy(graph);
  }

  fit(): void {
    if (this.#frame !== undefined) this.#camera.fit(this.#frame.all, true);
    this.#untouched = true;
  }

  zoomBy(factor: number): void {
    this.#untouched = false;
    this.#camera.zoomBy(factor);
  }

  /** How many were found. */
  find(text: string): number {
    const graph = this.#signs.graph.value;
    this.#found = graph === undefined ? [] : search(graph, text).filter((key) => this.#place(key) !== undefined);
    this.#foundAt = -1;
    this.#ask();
    return this.#found.length;
  }

  /** Goes to the next of what was found, and around. */
  findNext(): void {
    if (this.#found.length === 0) return;
    this.#foundAt = (this.#foundAt + 1) % this.#found.length;
    this.show(this.#found[this.#foundAt] ?? '');
  }

  /** Brings a node, a box, or both ends of a line into sight, and makes it the chosen one. */
  show(key: string): void {
    const rect = this.#place(key);
    const edge = this.#signs.graph.value?.edges.get(key);
    this.#untouched = false;
    if (rect !== undefined) this.#camera.centre(rect, key.startsWith('box:') ? 0.6 : readable);
    else if (edge !== undefined) this.#showBoth(edge.from, edge.to);
    this.#pick('selected', key);
  }

  choose(key: string): void {
    const graph = this.#signs.graph.value;
    const node = graph?.nodes.get(key);
    const edge = graph?.edges.get(key);
    this.#pick('selected', key);
    if (node !== undefined && node.service !== '') this.#choice.onSelectService(node.service);
    else if (edge !== undefined && edge.service !== '')
      this.#choice.onSelectEdge({ source: edge.source, service: edge.service });
    else if (graph?.boxes.has(key)) this.show(key);
  }

  /** True when the key meant something here. */
  key(key: string): boolean {
    const direction = directions[key];
    if (direction !== undefined) this.#step(direction);
    else if (key === '+' || key === '=') this.zoomBy(panStep);
    else if (key === '-' || key === '_') this.zoomBy(1 / panStep);
    else if (key === '0') this.fit();
    else if (key === 'Enter' || key === ' ') this.#enter();
    else if (key === 'Escape') return this.#escape();
    else return false;
    return true;
  }

  /** The keyboard came to the map: it begins where it was, or in the middle of what is seen. */
  focus(): void {
    const focused = this.#signs.focused.value;
    if (focused !== undefined && this.#stops().has(focused)) return;
    const seen = this.#camera.seen;
    const stops = this.#stops();
    const middle = new Map([...stops, ['', seen]]);
    const near = [...stops].sort(([, left], [, right]) => away(left, seen) - away(right, seen))[0]?.[0];
    this.#pick('focused', near ?? nearest('', 'right', middle));
  }

  blur(): void {
    this.#pick('focused', undefined);
  }

  close(): void {
    cancelAnimationFrame(this.#asked);
    this.#resize.disconnect();
    this.#viewport.removeEventListener('pointermove', this.#onPointer);
    this.#viewport.removeEventListener('pointerleave', this.#onLeave);
    this.#viewport.removeEventListener('click', this.#onClick);
    this.#camera.close();
    this.#keeper.close();
  }

  /** However many reasons come, it is drawn once a frame. */
  #ask(): void {
    if (this.#asked !== 0) return;
    this.#asked = requestAnimationFrame(() => {
      this.#asked = 0;
      this.#draw();
    });
  }

  #draw(): void {
    if (this.#input === undefined) return;
    const before = this.#signs.graph.value;
    const graph = this.#graph(this.#input);
    this.#signs.graph.value = graph;
    // What stands beside the map comes with the first graph, and takes its room before a layout is made to fit.
    if (before === undefined) {
      this.#ask();
      return;
    }
    const frame = frameOf(graph, this.#keeper.layout(graph));
    this.#signs.ready.value = frame !== undefined;
    if (frame === undefined) return;
    this.#frame = frame;
    if (!this.#fitted) {
      this.#fitted = this.#camera.size.width > 0;
      this.#camera.fit(frame.all, false);
    }
    const { focused, selected } = this.#signs;
    const shown = { graph, frame, lit: this.#lit(graph), focused: focused.value, selected: selected.value };
    this.#scene.draw(shown, this.#camera.view, this.#camera.seen);
    this.#signs.lines.value = this.#scene.lines;
  }

  /** Built once for each input: pointing and panning change nothing in it. */
  #graph(input: MapInput): MeshGraph {
    if (this.#built?.input !== input || this.#built.graph.grouping !== this.#grouping) {
      this.#built = { input, graph: buildGraph(input, this.#grouping) };
    }
    return this.#built.graph;
  }

  #lit(graph: MeshGraph): ReadonlySet<string> | undefined {
    const { focused, hovered, selected } = this.#signs;
    for (const key of [hovered.value, focused.value, selected.value]) {
      const lit = key === undefined ? undefined : related(graph, key);
      if (lit !== undefined) return lit;
    }
    if (this.#found.length === 0) return undefined;
    return new Set(this.#found.flatMap((key) => [key, graph.nodes.get(key)?.box ?? key]));
  }

  #pick(sign: 'focused' | 'hovered' | 'selected', key: string | undefined): void {
    if (this.#signs[sign].value === key) return;
    this.#signs[sign].value = key;
    this.#ask();
  }

  readonly #onPointer = (event: PointerEvent): void => {
    if (event.buttons !== 0 || event.pointerType === 'touch') return;
    this.#pick('hovered', this.#under(event));
    this.#viewport.classList.toggle('map-over', this.#signs.hovered.value !== undefined);
  };

  readonly #onLeave = (): void => this.#pick('hovered', undefined);

  readonly #onClick = (event: MouseEvent): void => {
    const key = this.#under(event);
    if (key === undefined) this.#pick('selected', undefined);
    else this.choose(key);
  };

  #under(event: MouseEvent): string | undefined {
    if (this.#frame === undefined) return undefined;
    const room = this.#viewport.getBoundingClientRect();
    const point: Point = this.#camera.toMap({ x: event.clientX - room.left, y: event.clientY - room.top });
    const { lines } = this.#scene.lines;
    return hit({ frame: this.#frame, lines, level: this.#scene.level, zoom: this.#camera.view.k }, point);
  }

  /** What arrow keys go to: from afar boxes, near what is in them. */
  #stops(): ReadonlyMap<string, Rect> {
    if (this.#frame === undefined) return new Map();
    if (this.#scene.level !== 'far' || this.#grouping === 'network') return this.#frame.nodes;
    return new Map([...this.#frame.boxes, ...[...this.#frame.nodes].filter(([key]) => !key.includes('@'))]);
  }

  #step(direction: Direction): void {
    const from = this.#signs.focused.value;
    const next = from === undefined ? undefined : nearest(from, direction, this.#stops());
    if (from === undefined) this.focus();
    if (next === undefined) return;
    this.#pick('focused', next);
    const rect = this.#place(next);
    this.#untouched = false;
    if (rect !== undefined) this.#camera.reveal(rect);
  }

  #enter(): void {
    const focused = this.#signs.focused.value;
    if (focused === undefined) return;
    const first = this.#signs.graph.value?.boxes.get(focused)?.nodes[0];
    this.choose(focused);
    if (first !== undefined) this.#pick('focused', first);
  }

  /** One step back each: what is chosen, then what was found, then the whole; then the key is not for the map. */
  #escape(): boolean {
    if (this.#signs.selected.value !== undefined) this.#pick('selected', undefined);
    else if (this.#signs.focused.value !== undefined) this.#pick('focused', undefined);
    else return false;
    return true;
  }

  #place(key: string): Rect | undefined {
    return this.#frame?.nodes.get(key) ?? this.#frame?.boxes.get(key);
  }

  #showBoth(from: string, to: string): void {
    const [left, right] = [this.#place(from), this.#place(to)];
    if (left === undefined || right === undefined) return;
    const [x, y] = [Math.min(left.x, right.x) - 60, Math.min(left.y, right.y) - 60];
    const width = Math.max(left.x + left.width, right.x + right.width) + 60 - x;
    const height = Math.max(left.y + left.height, right.y + right.height) + 60 - y;
    this.#camera.fit({ x, y, width, height }, true);
  }
}

const directions: Readonly<Record<string, Direction>> = {
  ArrowLeft: 'left',
  ArrowRight: 'right',
  ArrowUp: 'up',
  ArrowDown: 'down',
};

function away(rect: Rect, seen: Rect): number {
  const [x, y] = [
    rect.x + rect.width / 2 - seen.x - seen.width / 2,
    rect.y + rect.height / 2 - seen.y - seen.height / 2,
  ];
  return x * x + y * y;
}
