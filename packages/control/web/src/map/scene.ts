/** The drawing itself: layers of elements that follow the graph, changed where it changed and nowhere else. */
import { pathOf, pointAt } from './curve.ts';
import { boxesToDraw, boxSignature, type DrawnBox, drawBox } from './draw-box.ts';
import { type DrawnNode, drawNode, nodeSignature } from './draw-node.ts';
import { doorKey, internetKey } from './graph.ts';
import { LabelLayer, pageScale } from './label-layer.ts';
import { type Level, type Line, type Lines, levelOf, linesOf } from './lines.ts';
import { bounds, grown, overlaps, type Rect } from './places.ts';
import type { Frame } from './plan.ts';
import { Layer, set, svg } from './svg.ts';
import type { Shown, View } from './view.ts';

/** Lines whose dashes move, at most: each is drawn again several times a second. */
const mostMoving = 120;

export class Scene {
  readonly #stage: HTMLElement;
  readonly #labels: LabelLayer;
  readonly #root: SVGSVGElement;
  readonly #world = svg('g');
  readonly #wall = svg('path', { class: 'map-wall' });
  readonly #boxes: SVGGElement;
  readonly #nodes: SVGGElement;
  readonly #edges = svg('g', { class: 'map-edges' });
  readonly #boxLayer: Layer<DrawnBox>;
  readonly #lineLayer: Layer<Line>;
  readonly #nodeLayer: Layer<DrawnNode>;
  #lines: Lines = { lines: [], flows: 0, shown: 0, denied: 0 };
  #level: Level = 'near';
  /** At which zoom it is drawn; what differs from it is stretched until the map rests. */
  #drawnAt = 1;
  #moving: boolean = false;

  constructor(stage: HTMLElement, labels: HTMLElement) {
    this.#stage = stage;
    this.#labels = new LabelLayer(labels);
    const [boxes, nodes] = [svg('g', { class: 'map-groups' }), svg('g')];
    this.#root = svg('svg', { class: 'map-ground', width: 1, height: 1, 'aria-hidden': 'true', focusable: 'false' });
    this.#boxes = boxes;
    this.#nodes = nodes;
    this.#world.append(this.#wall, boxes, this.#edges, nodes);
    this.#root.append(this.#world);
    stage.replaceChildren(this.#root);
    this.#boxLayer = new Layer(boxes, boxSignature, drawBox);
    this.#lineLayer = new Layer(this.#edges, lineSignature, drawLine);
    this.#nodeLayer = new Layer(nodes, nodeSignature, drawNode);
  }

  get lines(): Lines {
    return this.#lines;
  }

  get level(): Level {
    return this.#level;
  }

  /**
   * While it moves, the whole is one picture that the compositor shifts and stretches: nothing is drawn but what comes in at
   * the rim. Once it rests it is drawn sharply, and only if the zoom changed.
   */
  move(view: View, moving: boolean): void {
    this.#moving = moving;
    if (!moving) this.#sharpen(view.k);
    this.#stage.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.k / this.#drawnAt})`;
    this.#stage.classList.toggle('map-moving', moving);
    this.#labels.move(view);
  }

  draw(shown: Shown, view: View, seen: Rect): void {
    const { graph, frame } = shown;
    if (!this.#moving && view.k !== this.#drawnAt) this.move(view, false);
    this.#level = levelOf(view.k);
    set(this.#root, 'data-level', this.#level);
    set(this.#root, 'data-grouping', graph.grouping);
    this.#stack(this.#level === 'far' && graph.grouping === 'host');
    const fontSize = Math.round((13.5 * Math.max(1, pageScale())) / view.k);
    this.#boxLayer.draw(boxesToDraw(graph, frame.boxes, this.#level === 'far' ? fontSize : 0));
    this.#nodeLayer.draw(nodesToDraw(shown));
    this.#drawWall(frame);
    const near = grown(seen, seen.width * 0.25);
    this.#lines = linesOf(graph, frame, {
      level: this.#level,
      lit: shown.lit,
      isVisible: (rect) => overlaps(rect, near, 0),
      before: new Set(this.#lines.lines.map((line) => line.key)),
    });
    this.#lineLayer.draw(new Map(this.#lines.lines.map((line) => [line.key, line])));
    const unit = Math.max(0.75, Math.min(12, 1 / view.k)).toFixed(2);
    if (this.#edges.style.getPropertyValue('--map-unit') !== unit) this.#edges.style.setProperty('--map-unit', unit);
    this.#light(shown);
    this.#animate(near);
    this.#root.classList.toggle('map-quiet', this.#lines.shown < this.#lines.flows);
    const headings = [...frame.boxes.values()].map((rect) => ({
      ...rect,
      width: Math.min(rect.width, 150),
      height: 34,
    }));
    const obstacles =
      this.#level === 'far'
        ? [...frame.boxes.values(), ...[doorKey, internetKey].flatMap((key) => frame.nodes.get(key) ?? [])]
        : [...frame.nodes.values(), ...headings];
    this.#labels.draw(
      this.#lines,
      shown,
      view,
      seen,
      graph.grouping === 'host' || this.#level !== 'far' ? obstacles : [],
    );
  }

  #sharpen(zoom: number): void {
    if (zoom === this.#drawnAt) return;
    this.#drawnAt = zoom;
    set(this.#world, 'transform', `scale(${zoom})`);
  }

  /** From afar, lines pass behind the boxes, whose text stays readable; near, they lead into them. */
  #stack(isBehind: boolean): void {
    const last = isBehind ? this.#boxes : this.#edges;
    if (this.#nodes.previousSibling !== last) this.#world.insertBefore(last, this.#nodes);
  }

  #drawWall(frame: Frame): void {
    const door = frame.nodes.get(doorKey);
    const inside = bounds([...frame.boxes.values()]);
    if (door === undefined || inside === undefined) return;
    const x = Math.round(door.x + door.width / 2);
    const [top, bottom] = [
      Math.min(inside.y, door.y) - 40,
      Math.max(inside.y + inside.height, door.y + door.height) + 40,
    ];
    set(this.#wall, 'd', `M${x} ${top}V${door.y - 2}M${x} ${door.y + door.height + 4}V${bottom}`);
  }

  #light({ lit, focused, selected }: Shown): void {
    this.#root.classList.toggle('map-fading', lit !== undefined);
    for (const layer of [this.#boxLayer, this.#nodeLayer, this.#lineLayer]) {
      for (const [key, element] of layer.elements()) {
        element.classList.toggle('map-lit', lit?.has(key) ?? false);
        element.classList.toggle('map-focused', key === focused);
        element.classList.toggle('map-selected', key === selected);
      }
    }
    for (const line of this.#lines.lines) this.#lineLayer.element(line.key)?.classList.toggle('map-lit', line.lit);
  }

  /** The widest of those that are seen; a line drawn for itself moves along, a gathered one goes both ways and does not. */
  #animate(near: Rect): void {
    const isMany = this.#lines.shown < this.#lines.flows;
    const moving = this.#lines.lines
      .filter((line) => line.moving && !line.trunk && (line.lit || !isMany) && overlaps(near, around(line), 0))
      .sort((left, right) => Number(right.lit) - Number(left.lit) || right.width - left.width)
      .slice(0, mostMoving);
    const keys = new Set(moving.map((line) => line.key));
    for (const [key, element] of this.#lineLayer.elements()) element.classList.toggle('map-flowing', keys.has(key));
  }
}

function nodesToDraw({ graph, frame }: Shown): Map<string, DrawnNode> {
  const drawn = new Map<string, DrawnNode>();
  for (const node of graph.nodes.values()) {
    const rect = frame.nodes.get(node.key);
    if (rect !== undefined) drawn.set(node.key, { node, rect, door: graph.door });
  }
  return drawn;
}

function lineSignature(line: Line): string {
  return [line.type, line.width, line.failing, line.moving, pathOf(line.curve)].join('|');
}

function drawLine(line: Line): SVGGElement {
  const d = pathOf(line.curve);
  const names = [`map-edge map-edge-${line.type}`];
  if (line.trunk) names.push('map-trunk');
  if (line.failing) names.push('map-failing');
  if (!line.moving && line.type === 'flow') names.push('map-still');
  const group = svg('g', { class: names.join(' '), 'data-edge': line.key }, svg('path', { class: 'map-line', d }));
  group.style.setProperty('--map-width', String(line.width));
  if (line.moving) group.append(svg('path', { class: 'map-dashes', d }));
  if (line.type === 'denied') group.append(stopMark(line));
  else if (!line.trunk) group.append(arrow(line));
  return group;
}

/** A barred circle at the place where a denied line meets what it may not reach. */
function stopMark(line: Line): SVGGElement {
  const { x, y } = pointAt(line.curve, line.trunk ? 0.5 : 0.93);
  const path = svg('path', { d: 'M-7 0A7 7 0 1 0 7 0A7 7 0 1 0 -7 0M-4 0H4' });
  return svg('g', { class: 'map-stop', transform: `translate(${x} ${y})` }, path);
}

function arrow(line: Line): SVGPathElement {
  const { to } = line.curve;
  const back = pointAt(line.curve, 0.9);
  const angle = (Math.atan2(to.y - back.y, to.x - back.x) * 180) / Math.PI;
  const size = 5 + line.width;
  const place = `translate(${to.x} ${to.y}) rotate(${angle.toFixed(1)})`;
  return svg('path', { class: 'map-arrow', d: `M0 0L${-size} ${-size / 2}V${size / 2}Z`, transform: place });
}

function around(line: Line): Rect {
  const { from, leave, enter, to } = line.curve;
  const points = [from, leave, enter, to].map((point) => ({ ...point, width: 0, height: 0 }));
  return bounds(points) ?? { x: 0, y: 0, width: 0, height: 0 };
}
