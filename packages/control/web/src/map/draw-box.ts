/** How host boxes look: near, a frame with a name; far, the name, a count and a bar of kinds instead of what is inside. */
import type { MapBox, MapNode, MeshGraph } from './graph.ts';
import { fitted, widthOf } from './labels.ts';
import { boxPadding, type Rect } from './places.ts';
import { svg } from './svg.ts';

const kinds = ['web', 'private', 'worker', 'process'] as const;

export interface DrawnBox {
  readonly box: MapBox;
  readonly rect: Rect;
  readonly nodes: readonly MapNode[];
  /** Of the far form's text, so that it can be read at this zoom. */
  readonly fontSize: number;
}

export function boxesToDraw(
  graph: MeshGraph,
  places: ReadonlyMap<string, Rect>,
  fontSize: number,
): Map<string, DrawnBox> {
  const drawn = new Map<string, DrawnBox>();
  for (const [key, rect] of places) {
    const box = graph.boxes.get(key);
    if (box === undefined) continue;
    drawn.set(key, { box, rect, nodes: box.nodes.flatMap((node) => graph.nodes.get(node) ?? []), fontSize });
  }
  return drawn;
}

export function boxSignature({ box, rect, nodes, fontSize }: DrawnBox): string {
  const { x, y, width, height } = rect;
  return [box.name, box.connected, box.gateway, x, y, width, height, fontSize, ...counts(nodes), ill(nodes)].join('|');
}

export function drawBox(drawn: DrawnBox): SVGGElement {
  const { box, rect, nodes } = drawn;
  const frame = svg('rect', { class: 'map-frame', width: rect.width, height: rect.height, rx: 14 });
  const gone = box.connected ? '' : ' map-gone';
  const trouble = box.connected && ill(nodes) > 0 ? ' map-ill' : '';
  const group = svg(
    'g',
    {
      class: `map-group map-group-${box.kind}${gone}${trouble}`,
      transform: `translate(${rect.x} ${rect.y})`,
      'data-box': box.key,
    },
    frame,
  );
  if (box.kind !== 'network') group.append(heading(box, rect), far(drawn));
  return group;
}

function heading(box: MapBox, rect: Rect): SVGGElement {
  const suffix = box.connected ? (box.gateway ? 'gateway' : '') : 'disconnected';
  const room = rect.width - 2 * boxPadding - suffix.length * 6.6;
  // Larger where the map is smaller: cut for each size by itself.
  const roomMiddle = rect.width - 2 * boxPadding - suffix.length * 9.2;
  const group = svg(
    'g',
    { class: 'map-heading' },
    svg('text', { class: 'map-heading-near', x: boxPadding, y: 25 }, fitted(box.name, room, 14)),
    svg('text', { class: 'map-heading-middle', x: boxPadding, y: 25 }, fitted(box.name, roomMiddle, 20)),
  );
  if (suffix !== '') {
    group.append(svg('text', { class: 'map-suffix', x: rect.width - boxPadding, y: 25, 'text-anchor': 'end' }, suffix));
  }
  return group;
}

function far({ box, rect, nodes, fontSize }: DrawnBox): SVGGElement {
  const inner = rect.width - 2 * boxPadding;
  // A long name may shrink by a quarter before it is cut.
  const whole = Math.max(fontSize * 0.75, inner / widthOf(box.name));
  const size = Math.min(fontSize, rect.height * 0.6, whole);
  const group = svg('g', { class: 'map-far' });
  const sick = ill(nodes);
  const services = nodes.filter((node) => node.service !== '').length;
  const full = `${services} service${services === 1 ? '' : 's'}`;
  const words = !box.connected
    ? ['disconnected', 'gone']
    : sick > 0
      ? [`${sick} of ${services} ill`, `${sick} ill`]
      : [full];
  // The longest that needs no dots.
  const count = [...words, String(services)].find((word) => fitted(word, inner, size * 0.85) === word) ?? '';
  const lines = rect.height > size * 2.9 ? 2 : 1;
  const bar = rect.height > size * 3.6 ? size * 0.5 : 0;
  const tall = lines * size * 1.25 + bar * 2;
  let y = (rect.height - tall) / 2 + size;
  const text = (word: string, name: string, scale: number): void => {
    const at = { class: name, x: rect.width / 2, y, 'font-size': Math.round(size * scale) };
    group.append(svg('text', at, fitted(word, inner, size * scale)));
    y += size * 1.2;
  };
  text(box.name, 'map-far-name', 1);
  if (lines === 2) text(count, 'map-far-count', 0.85);
  if (bar > 0) group.append(...bars(nodes, y - size * 0.55, inner, bar));
  return group;
}

function bars(nodes: readonly MapNode[], y: number, width: number, height: number): SVGRectElement[] {
  let x = boxPadding;
  return counts(nodes).flatMap((count, index) => {
    if (count === 0) return [];
    const share = (count / nodes.length) * width;
    const bar = svg('rect', {
      class: `map-share map-kind-${kinds[index] ?? ''}`,
      x,
      y,
      width: Math.max(2, share - 6),
      height,
    });
    x += share;
    return [bar];
  });
}

function counts(nodes: readonly MapNode[]): number[] {
  return kinds.map((kind) => nodes.filter((node) => node.kind === kind).length);
}

function ill(nodes: readonly MapNode[]): number {
  return nodes.filter((node) => node.healthy < node.instances).length;
}
