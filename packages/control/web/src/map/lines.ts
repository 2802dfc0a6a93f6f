/** Which lines are drawn now, and how: all when they are few, and otherwise those that matter for what is seen. */
import { type Curve, curve } from './curve.ts';
import { type DeniedEdge, doorKey, internetKey, isMoving, type MapEdge, type MeshGraph } from './graph.ts';
import type { Rect } from './places.ts';
import type { Frame } from './plan.ts';
import { activity, perSecond, shortRate, widthOf } from './rates.ts';
import { strongest, type Trunk, trunksOf, weightOf } from './trunks.ts';

/** How near the map is: hosts only; names of services; everything. */
export type Level = 'far' | 'middle' | 'near';

export interface Line {
  readonly key: string;
  readonly type: 'flow' | 'denied';
  readonly trunk: boolean;
  readonly from: string;
  readonly to: string;
  readonly curve: Curve;
  readonly width: number;
  readonly moving: boolean;
  readonly failing: boolean;
  readonly lit: boolean;
  readonly label: string;
}

export interface LineOptions {
  readonly level: Level;
  readonly lit: ReadonlySet<string> | undefined;
  readonly isVisible: (rect: Rect) => boolean;
  /** Keys drawn before, which stay rather than flicker. */
  readonly before: ReadonlySet<string>;
}

export interface Lines {
  readonly lines: readonly Line[];
  /** Lines of flows that there are, of which `shown` are drawn. */
  readonly flows: number;
  readonly shown: number;
  readonly denied: number;
}

export function levelOf(zoom: number): Level {
  return zoom < 0.42 ? 'far' : zoom < 0.74 ? 'middle' : 'near';
}

/** Up to so many, every line is drawn for itself. */
export const fewLines = 150;
/** Of more, only so many of the busiest: a map of all would show none. */
const mostSingle = 60;
const mostTrunks = 70;
const mostDenied = 100;
const flowBend = 7;
const deniedBend = -9;

export function linesOf(graph: MeshGraph, frame: Frame, options: LineOptions): Lines {
  const edges = [...graph.edges.values()];
  const flows = edges.filter((edge) => edge.type === 'flow');
  const denied = edges.filter((edge) => edge.type === 'denied');
  if (options.level === 'far' && graph.grouping === 'host' && edges.length > fewLines) {
    return gathered(graph, frame, options, denied.length);
  }
  const isMany = flows.length > fewLines;
  const candidates = isMany ? flows.filter((edge) => isSeen(edge, frame, options)) : flows;
  const weights = new Map(candidates.map((edge) => [edge.key, weightOf(edge)]));
  const chosen = strongest(weights, options.before, isMany ? mostSingle : fewLines);
  const newest = [...denied].sort((left, right) => right.atMs - left.atMs).slice(0, mostDenied);
  const isLit = (edge: MapEdge): boolean => options.lit?.has(edge.key) ?? false;
  const drawn = [
    ...flows.filter((edge) => chosen.has(edge.key) || isLit(edge)),
    ...newest,
    ...denied.filter((edge) => isLit(edge) && !newest.includes(edge)),
  ];
  const lines = drawn.flatMap((edge) => single(edge, frame, isLit(edge)) ?? []);
  return {
    lines,
    flows: flows.length,
    shown: lines.filter((line) => line.type === 'flow').length,
    denied: denied.length,
  };
}

/** With both ends: a line from beyond the rim to beyond the rim tells nothing. */
function isSeen(edge: MapEdge, frame: Frame, options: LineOptions): boolean {
  const [from, to] = [frame.nodes.get(edge.from), frame.nodes.get(edge.to)];
  return from !== undefined && options.isVisible(from) && to !== undefined && options.isVisible(to);
}

function single(edge: MapEdge, frame: Frame, lit: boolean): Line | undefined {
  const [from, to] = [frame.nodes.get(edge.from), frame.nodes.get(edge.to)];
  if (from === undefined || to === undefined) return undefined;
  const { key, type } = edge;
  const ends = { key, type, trunk: false, from: edge.from, to: edge.to, lit };
  if (edge.type === 'denied') {
    const line = curve(from, to, deniedBend);
    return { ...ends, curve: line, width: 2, moving: false, failing: false, label: deniedLabel(edge) };
  }
  return {
    ...ends,
    curve: curve(from, to, flowBend),
    width: widthOf(edge.openedPerSecond, edge.bytesPerSecond),
    moving: isMoving(edge),
    failing: edge.failedPerSecond > 0,
    label: shortRate(edge),
  };
}

export function deniedLabel(edge: DeniedEdge): string {
  return edge.rule === '' ? 'denied' : edge.rule;
}

/** Host to host. */
function gathered(graph: MeshGraph, frame: Frame, options: LineOptions, denied: number): Lines {
  const trunks = [...trunksOf(graph).values()];
  const isLit = (trunk: Trunk): boolean =>
    options.lit !== undefined && trunk.edges.some((key) => options.lit?.has(key));
  const weights = new Map(trunks.map((trunk) => [trunk.key, activity(trunk.flows, trunk.bytes)]));
  const chosen = strongest(weights, options.before, mostTrunks);
  const lines: Line[] = [];
  let shown = 0;
  for (const trunk of trunks) {
    const lit = isLit(trunk);
    const drawn = trunkLines(graph, frame, trunk, lit);
    const [flow] = drawn;
    const isOnlyDenied = trunk.denied === trunk.edges.length;
    if (flow !== undefined && !isOnlyDenied && (chosen.has(trunk.key) || lit || isDoor(trunk))) {
      shown += 1;
      lines.push(flow);
    }
    lines.push(...drawn.slice(1));
  }
  return { lines, flows: trunks.length, shown, denied };
}

/** Which hosts the internet reaches is never left out. */
function isDoor(trunk: Trunk): boolean {
  return trunk.from === doorKey || trunk.from === internetKey;
}

function trunkLines(graph: MeshGraph, frame: Frame, trunk: Trunk, lit: boolean): Line[] {
  const place = (key: string): Rect | undefined => frame.boxes.get(key) ?? frame.nodes.get(key);
  const [from, to] = [place(trunk.from), place(trunk.to)];
  if (from === undefined || to === undefined) return [];
  const ends = { trunk: true, from: trunk.from, to: trunk.to, lit };
  const flow: Line = {
    ...ends,
    key: trunk.key,
    type: 'flow',
    curve: curve(from, to, 0),
    width: widthOf(trunk.flows, trunk.bytes),
    moving: trunk.flows > 0 || trunk.bytes > 0,
    failing: trunk.failed > 0,
    label: trunk.flows > 0 ? perSecond(trunk.flows) : '',
  };
  if (trunk.denied === 0) return [flow];
  const rules = new Set(
    trunk.edges.flatMap((key) => {
      const edge = graph.edges.get(key);
      return edge?.type === 'denied' ? [deniedLabel(edge)] : [];
    }),
  );
  const [rule = 'denied'] = rules;
  const label = rules.size === 1 ? rule : `${trunk.denied} denied`;
  const key = `denied ${trunk.key}`;
  return [
    flow,
    { ...flow, key, type: 'denied', curve: curve(from, to, 22), width: 2, moving: false, failing: false, label },
  ];
}
