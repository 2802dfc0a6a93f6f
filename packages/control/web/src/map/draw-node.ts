/** How nodes look. Kind shows by colour, by shape and by word; what is wrong shows by colour and by a mark. */
import type { Door, MapNode } from './graph.ts';
import { fitted } from './labels.ts';
import { card, doorSize, internetSize, type Rect } from './places.ts';
import { svg } from './svg.ts';
import { healthText } from './words.ts';

const doorWords = { open: 'public door', closed: 'door closed', unknown: 'not known' } as const;
const badgeWord = { web: 'web', private: 'priv', worker: 'work', process: 'host', internet: '', door: '' } as const;

export interface DrawnNode {
  readonly node: MapNode;
  readonly rect: Rect;
  readonly door: Door;
}

export function nodeSignature({ node, rect, door }: DrawnNode): string {
  const outside = node.kind === 'door' ? JSON.stringify(door) : '';
  const { kind, name, instances, healthy, ports, problems, connected } = node;
  return [
    kind,
    name,
    instances,
    healthy,
    ports,
    problems,
    connected,
    rect.x,
    rect.y,
    node.public,
    rect.width,
    outside,
  ].join('|');
}

export function drawNode(drawn: DrawnNode): SVGGElement {
  const { node, rect } = drawn;
  const shapes =
    node.kind === 'internet' ? drawInternet() : node.kind === 'door' ? drawDoor(drawn.door) : drawCard(node);
  return svg(
    'g',
    {
      class: `map-node map-kind-${node.kind}${state(drawn)}`,
      transform: `translate(${rect.x} ${rect.y})${scaleOf(drawn)}`,
      'data-node': node.key,
    },
    ...shapes,
  );
}

/** The internet and its door are drawn larger on a larger map. */
function scaleOf({ node, rect }: DrawnNode): string {
  const size = node.kind === 'door' ? doorSize : node.kind === 'internet' ? internetSize : card;
  return rect.width === size.width ? '' : ` scale(${(rect.width / size.width).toFixed(3)})`;
}

function state({ node, door }: DrawnNode): string {
  if (node.kind === 'door') return ` map-${door.state}`;
  if (!node.connected) return ' map-gone';
  return node.healthy < node.instances ? ' map-ill' : node.problems.length > 0 ? ' map-troubled' : '';
}

function drawCard(node: MapNode): Element[] {
  const { width, height } = card;
  const marks = mark(node);
  const room = width - 54 - (marks.length > 0 ? 28 : 10);
  return [
    svg('rect', { class: 'map-card', width, height, rx: 9 }),
    svg('g', { class: 'map-badge' }, badge(node.kind), svg('text', { x: 28, y: 28 }, badgeWord[node.kind])),
    svg('text', { class: 'map-name', x: 54, y: 21 }, fitted(node.name, room, 13.5)),
    svg('text', { class: 'map-second', x: 54, y: 37 }, fitted(healthText(node), width - 64, 11)),
    svg('text', { class: 'map-name-middle', x: 36, y: 31 }, fitted(node.name, width - 42, 19.5)),
    ...marks,
  ];
}

function badge(kind: MapNode['kind']): Element {
  if (kind === 'web') return svg('rect', { x: 9, y: 13, width: 38, height: 22, rx: 11 });
  if (kind === 'worker') return svg('path', { d: 'M15 13H41L48 24L41 35H15L8 24Z' });
  if (kind === 'process') return svg('rect', { x: 9, y: 13, width: 38, height: 22, 'stroke-dasharray': '3 2' });
  return svg('rect', { x: 9, y: 13, width: 38, height: 22, rx: 3 });
}

/** At the upper right corner: a triangle for what is ill or has a problem, a crossed ring for what is gone. */
function mark(node: MapNode): Element[] {
  const at = `translate(${card.width - 16} 15)`;
  if (!node.connected) {
    return [
      svg(
        'g',
        { class: 'map-mark', transform: at },
        svg('path', { d: 'M-6 0A6 6 0 1 0 6 0A6 6 0 1 0 -6 0M-4 4L4 -4' }),
      ),
    ];
  }
  if (node.healthy < node.instances || node.problems.length > 0) {
    const triangle = svg('path', { d: 'M0 -7L8 6H-8Z' });
    return [svg('g', { class: 'map-mark', transform: at }, triangle, svg('text', { x: 0, y: 4.5 }, '!'))];
  }
  return node.public ? [svg('path', { class: 'map-public', transform: at, d: 'M-5 6V-6H5V6M1 0H1.5' })] : [];
}

function drawInternet(): Element[] {
  const { width, height } = internetSize;
  const [x, y] = [width / 2, 36];
  return [
    svg('rect', { class: 'map-outside', width, height, rx: 14 }),
    svg('circle', { class: 'map-globe', cx: x, cy: y, r: 22 }),
    svg('path', {
      class: 'map-globe',
      d: `M${x - 22} ${y}H${x + 22}M${x} ${y - 22}C${x - 16} ${y - 10} ${x - 16} ${y + 10} ${x} ${y + 22}C${x + 16} ${y + 10} ${x + 16} ${y - 10} ${x} ${y - 22}`,
    }),
    svg('text', { class: 'map-outside-name', x, y: height - 12 }, 'internet'),
  ];
}

/** Seen from above the wall: open, its leaf stands aside; closed, it is barred; not known, it stands half and dashed. */
function drawDoor(door: Door): Element[] {
  const { width, height } = doorSize;
  const [left, right, top, foot] = [14, width - 14, 6, height - 42];
  const stands = { open: right - 14, unknown: (left + right) / 2, closed: right }[door.state];
  const leaf =
    door.state === 'closed'
      ? svg('rect', { class: 'map-leaf', x: left, y: top, width: right - left, height: foot - top })
      : svg('path', { class: 'map-leaf', d: `M${left} ${top}L${stands} ${top + 12}V${foot + 10}L${left} ${foot}Z` });
  const detail =
    door.state === 'closed'
      ? svg('path', { class: 'map-bar', d: `M${left - 6} ${(top + foot) / 2}H${right + 6}` })
      : svg('circle', { class: 'map-knob', cx: stands - 6, cy: (top + foot) / 2 + 6, r: 2.5 });
  const gateways = door.gateways.map((gateway) => gateway.host);
  const [first = 'no gateway', ...more] = gateways;
  const through = more.length > 0 ? `${gateways.length} gateways` : fitted(first, 110, 11);
  return [
    svg('rect', { class: 'map-doorway', x: left, y: top, width: right - left, height: foot - top }),
    leaf,
    detail,
    svg('text', { class: 'map-outside-name', x: width / 2, y: height - 22 }, doorWords[door.state]),
    svg(
      'text',
      { class: 'map-outside-second', x: width / 2, y: height - 6 },
      door.services.length > 0 ? through : 'nothing public',
    ),
  ];
}
