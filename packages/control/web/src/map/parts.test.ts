import { describe, expect, it } from 'vitest';
import { buildGraph } from './build.ts';
import { curve, distanceTo, pointAt } from './curve.ts';
import { nearest } from './direction.ts';
import { related } from './focus.ts';
import { hit } from './hit.ts';
import { fitted, labelText, placeLabels } from './labels.ts';
import { linesOf } from './lines.ts';
import { overlaps, type Rect } from './places.ts';
import { frameOf, gridsOf, itemsOf } from './plan.ts';
import { activity, bytesPerSecond, perSecond, shortRate, widthOf } from './rates.ts';
import { search } from './search.ts';
import { agent, denial, instance, mesh, pair, service, shop } from './test-mesh.ts';
import { strongest, trunksOf } from './trunks.ts';
import { boxLabel, doorLabel, edgeText, nodeLabel } from './words.ts';

const rect = (x: number, y: number): Rect => ({ x, y, width: 100, height: 40 });

describe('nearest by direction', () => {
  const places = new Map([
    ['middle', rect(300, 300)],
    ['right', rect(500, 310)],
    ['nearer but aside', rect(420, 380)],
    ['above', rect(290, 100)],
    ['far above', rect(300, 0)],
  ]);
  it('prefers what lies straight ahead', () => {
    expect(nearest('middle', 'right', places)).toBe('right');
    expect(nearest('middle', 'up', places)).toBe('above');
    expect(nearest('above', 'up', places)).toBe('far above');
  });
  it('finds nothing beyond the rim', () => {
    expect(nearest('middle', 'left', places)).toBeUndefined();
    expect(nearest('unknown', 'left', places)).toBeUndefined();
  });
});

describe('curve', () => {
  it('starts and ends at the sides that face each other', () => {
    const line = curve(rect(0, 0), rect(300, 0), 0);
    expect(line.from).toEqual({ x: 100, y: 20 });
    expect(line.to).toEqual({ x: 300, y: 20 });
  });
  it('is two lines for there and back', () => {
    const [there, back] = [curve(rect(0, 0), rect(300, 0), 7), curve(rect(300, 0), rect(0, 0), 7)];
    expect(pointAt(there, 0.5).y).toBeGreaterThan(pointAt(back, 0.5).y);
  });
  it('knows how far a point is', () => {
    const line = curve(rect(0, 0), rect(300, 0), 0);
    expect(distanceTo(line, { x: 200, y: 26 })).toBeCloseTo(6, 0);
  });
});

describe('gathering', () => {
  const traffic = [
    pair('web', 'a', 'redis', 'c', 2),
    pair('web', 'a', 'rabbit', 'c', 3),
    pair('redis', 'c', 'web', 'a', 1),
  ];
  it('makes one line of both directions between two hosts', () => {
    const trunk = trunksOf(buildGraph(shop(traffic), 'host')).get('trunk box:host:a box:host:c');
    expect(trunk).toMatchObject({ flows: 6, denied: 0 });
    expect(trunk?.edges).toHaveLength(3);
  });
  it('draws the strongest, and lets one that is drawn stay until it is clearly beaten', () => {
    const weights = new Map([
      ['a', 5],
      ['b', 4],
      ['c', 3.5],
    ]);
    expect([...strongest(weights, new Set(), 2)]).toEqual(['a', 'b']);
    expect(strongest(weights, new Set(['c']), 2).has('c')).toBe(true);
    expect(strongest(weights, new Set(['c']), 9).size).toBe(3);
  });
});

function frame(graph: ReturnType<typeof buildGraph>) {
  const grids = gridsOf(graph, { places: new Map(), grids: new Map() });
  const places = new Map(itemsOf(graph, grids).map((item, index) => [item.key, { ...item, x: index * 600, y: 0 }]));
  const found = frameOf(graph, { places, grids });
  if (found === undefined) throw new Error('nothing was placed');
  return found;
}

describe('lines', () => {
  const options = { level: 'near', lit: undefined, isVisible: () => true, before: new Set<string>() } as const;

  it('draws all when they are few, denied ones with the name of the rule', () => {
    const graph = buildGraph(shop([{ ...pair('web', 'a', 'rabbit', 'c'), lastDenied: denial }]), 'host');
    const { lines } = linesOf(graph, frame(graph), options);
    expect(lines.map(({ type, label }) => [type, label])).toContainEqual(['denied', 'no-admin-ui']);
    expect(lines.map(({ type, label }) => [type, label])).toContainEqual(['flow', '1/s']);
  });

  it('bounds what is drawn of many, tells how many there are, and always draws what is lit and what is denied', () => {
    const services = Array.from({ length: 30 }, (_, index) => service(`s${index}`, ['a']));
    const traffic = services.flatMap(({ name: from }, left) =>
      services.flatMap(({ name: to }, right) => (left === right ? [] : [pair(from, 'a', to, 'a', left * 30 + right)])),
    );
    traffic.push({ ...pair('s3', 'a', 's4', 'a', 0), lastDenied: denial });
    const graph = buildGraph(mesh(services, [agent('a')], traffic), 'host');
    const lit = new Set(['flow s0@box:host:a s1@box:host:a']);
    const drawn = linesOf(graph, frame(graph), { ...options, lit });
    expect(drawn.flows).toBe(870);
    expect(drawn.shown).toBeLessThan(100);
    const keys = drawn.lines.map(({ key }) => key);
    expect(keys).toContain('flow s0@box:host:a s1@box:host:a');
    expect(keys).toContain('denied s3@box:host:a s4@box:host:a');
  });

  it('is hit near it, but a node before it', () => {
    const graph = buildGraph(shop([pair('web', 'a', 'redis', 'c')]), 'host');
    const placed = frame(graph);
    const { lines } = linesOf(graph, placed, options);
    const line = lines.find(({ key }) => key.endsWith('redis@box:host:c'));
    const target = { frame: placed, lines, level: 'near', zoom: 1 } as const;
    const middle = pointAt(line?.curve ?? curve(rect(0, 0), rect(1, 1), 0), 0.12);
    expect(hit(target, { x: middle.x, y: middle.y + 4 })).toBe(line?.key);
    const node = placed.nodes.get('redis@box:host:c') ?? rect(0, 0);
    expect(hit(target, { x: node.x + 5, y: node.y + 5 })).toBe('redis@box:host:c');
    expect(hit(target, { x: -900, y: -900 })).toBeUndefined();
  });
});

describe('focus', () => {
  it('holds the node, its lines and their other ends, and no others', () => {
    const graph = buildGraph(shop([pair('web', 'a', 'redis', 'c'), pair('web', 'b', 'rabbit', 'c')]), 'host');
    const lit = related(graph, 'redis@box:host:c');
    expect(lit?.has('web@box:host:a')).toBe(true);
    expect(lit?.has('web@box:host:b')).toBe(false);
    expect(lit?.has('rabbit@box:host:c')).toBe(false);
    expect(related(graph, 'gone')).toBeUndefined();
  });
});

describe('search', () => {
  it('puts the same name first, then beginnings, then the rest', () => {
    const names = ['my-redis', 'redis-2', 'redis', 'web'];
    const graph = buildGraph(
      mesh(
        names.map((name) => service(name, ['a'])),
        [agent('a')],
      ),
      'network',
    );
    const found = search(graph, ' REDIS ').map((key) => graph.nodes.get(key)?.name);
    expect(found).toEqual(['redis', 'redis-2', 'my-redis']);
    expect(search(graph, '  ')).toEqual([]);
  });
});

describe('texts that are too long', () => {
  it('are cut in the middle: a number at the end tells names apart', () => {
    expect(fitted('host-050', 200, 14)).toBe('host-050');
    expect(fitted('host-050', 60, 14)).toMatch(/^h\w*….*050$/);
    expect(fitted('host-050', 1, 14).length).toBe(2);
  });
  it('take the room that their letters need', () => {
    expect(fitted('mmmmmmmmmm', 100, 14).length).toBeLessThan(fitted('llllllllll', 100, 14).length);
  });
  it('are short on a line', () => {
    expect(labelText('no-admin-ui')).toBe('no-admin-ui');
    expect(labelText('r'.repeat(60)).length).toBe(24);
  });
});

describe('labels of lines', () => {
  const line = curve(rect(0, 0), rect(600, 0), 0);
  it('never cover each other or a node', () => {
    const wishes = ['a', 'b', 'c', 'd'].map((key) => ({ key, curve: line, text: 'no-admin-ui', isNeeded: false }));
    const node = rect(300, 0);
    const placed = placeLabels(wishes, [node], 1);
    const rects = placed.map(({ at }) => ({ x: at.x - 46, y: at.y - 10, width: 92, height: 20 }));
    expect(rects.length).toBeGreaterThan(1);
    for (const [index, one] of rects.entries()) {
      expect(overlaps(one, node, 0)).toBe(false);
      for (const other of rects.slice(index + 1)) expect(overlaps(one, other, 0)).toBe(false);
    }
  });
  it('shows a needed one over a node rather than not at all', () => {
    const everywhere = { x: -500, y: -500, width: 2000, height: 1000 };
    const wish = { key: 'a', curve: line, text: 'rule' };
    expect(placeLabels([{ ...wish, isNeeded: false }], [everywhere], 1)).toEqual([]);
    expect(placeLabels([{ ...wish, isNeeded: true }], [everywhere], 1)).toHaveLength(1);
  });
});

describe('words', () => {
  it('says all of a service that is to be known', () => {
    const refused = { ...pair('web', 'a', 'redis', 'c', 12), lastDenied: denial };
    const input = shop([refused, pair('web', 'b', 'redis', 'c', 1)]);
    const graph = buildGraph(input, 'host');
    const node = graph.nodes.get('redis@box:host:c');
    expect(node && nodeLabel(graph, node)).toBe(
      'redis, private, on c, 1 of 1 healthy, 13 flows/s in from web, denied from web by no-admin-ui',
    );
  });
  it('says what is wrong with a host and with the door', () => {
    const instances = [instance('a', { healthy: false })];
    const graph = buildGraph(mesh([service('redis', [], { instances })], [agent('a')]), 'host');
    const box = graph.boxes.get('box:host:a');
    expect(box && boxLabel(graph, box)).toBe('host a, 1 service, 1 unhealthy');
    expect(doorLabel(graph.door)).toBe('public door, closed: no agent is a gateway');
    expect(doorLabel(buildGraph(shop(), 'host').door)).toBe('public door, open, through a, to web');
    const away = agent('a', { gatewayAddress: ':80', connected: false });
    const unknown = buildGraph({ ...shop(), agents: new Map([['a', away]]) }, 'host').door;
    expect(doorLabel(unknown)).toBe(
      'public door, not known: a is disconnected from control and may still let the internet in, to web',
    );
  });
  it('says what is denied, where, and by which rule', () => {
    const graph = buildGraph(shop([{ ...pair('web', 'a', 'rabbit', 'c', 0), lastDenied: denial }]), 'host');
    const edge = [...graph.edges.values()].find(({ type }) => type === 'denied');
    expect(edge && edgeText(edge)).toBe('web → rabbit:15672 denied by no-admin-ui');
  });
});

describe('rates', () => {
  it('are short', () => {
    expect([0, 0.04, 0.5, 3, 42.4, 1234, 56_789].map(perSecond)).toEqual([
      '0/s',
      '<0.1/s',
      '0.5/s',
      '3/s',
      '42/s',
      '1.2k/s',
      '57k/s',
    ]);
    expect([3, 1500, 2_000_000].map(bytesPerSecond)).toEqual(['3 B/s', '1.5 kB/s', '2.0 MB/s']);
  });
  it('show long-lived connections by their bytes, and idle ones by their number', () => {
    const still = { openedPerSecond: 0, bytesPerSecond: 0, open: 0, failedPerSecond: 0 };
    expect(shortRate({ ...still, bytesPerSecond: 4000, open: 2 })).toBe('4.0 kB/s');
    expect(shortRate({ ...still, open: 2 })).toBe('2 open');
    expect(shortRate(still)).toBe('');
  });
  it('widen lines slowly and never without end', () => {
    expect(widthOf(0, 0)).toBeLessThan(widthOf(10, 0));
    expect(widthOf(10, 0)).toBeLessThan(widthOf(1000, 0));
    expect(widthOf(1e9, 1e12)).toBe(7);
    expect(activity(0, 5e6)).toBeGreaterThan(activity(1, 100));
  });
});
