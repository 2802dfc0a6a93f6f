import { describe, expect, it, vi } from 'vitest';
import { arrange } from './arrange.ts';
import { buildGraph } from './build.ts';
import { LayoutKeeper, type LayoutMemory } from './keeper.ts';
import type { LayoutFinder } from './layouter.ts';
import { bounds, type Item, type Link, overlaps, type Rect } from './places.ts';
import { settle } from './settle.ts';
import { gridOf, gridSize, slotRect } from './slots.ts';
import { agent, mesh, pair, service, shop } from './test-mesh.ts';

function items(count: number): Item[] {
  return Array.from({ length: count }, (_, index) => ({
    key: `item-${index}`,
    width: 200 + (index % 3) * 190,
    height: 100,
  }));
}

function overlapping(places: ReadonlyMap<string, Rect>): string[] {
  const all = [...places];
  return all.flatMap(([left, rect], index) =>
    all.slice(index + 1).flatMap(([right, other]) => (overlaps(rect, other, 0) ? [`${left} ${right}`] : [])),
  );
}

describe('arrange', () => {
  it('puts the caller left of what it calls', () => {
    const places = arrange(
      items(3),
      [
        { from: 'item-2', to: 'item-0' },
        { from: 'item-0', to: 'item-1' },
      ],
      { gap: 40, ratio: 6 },
    );
    expect(places.get('item-2')?.x).toBeLessThan(places.get('item-0')?.x ?? 0);
    expect(places.get('item-0')?.x).toBeLessThan(places.get('item-1')?.x ?? 0);
  });

  it.each([1, 7, 60])('covers nothing and keeps a shape that fits, for %i items', (count) => {
    const links: Link[] = Array.from({ length: count * 5 }, (_, index) => ({
      from: `item-${(index * 7) % count}`,
      to: `item-${(index * 13 + 5) % count}`,
    }));
    const places = arrange(items(count), links, { gap: 40, ratio: 1.5 });
    expect(places.size).toBe(count);
    expect(overlapping(places)).toEqual([]);
    const all = bounds(places.values());
    if (count > 10) expect((all?.width ?? 0) / (all?.height ?? 1)).toBeGreaterThan(0.8);
    if (count > 10) expect((all?.width ?? 0) / (all?.height ?? 1)).toBeLessThan(2.6);
  });
});

describe('settle', () => {
  const before = new Map<string, Rect>([
    ['a', { x: 0, y: 0, width: 100, height: 100 }],
    ['b', { x: 300, y: 0, width: 100, height: 100 }],
    ['c', { x: 0, y: 300, width: 100, height: 100 }],
  ]);
  const sized = (key: string, height = 100): Item => ({ key, width: 100, height });
  const options = { gap: 20, leftMost: 0 };

  it('moves nothing that was there, and puts what is new beside what it talks to', () => {
    const places = settle([sized('a'), sized('b'), sized('c'), sized('d')], [{ from: 'd', to: 'b' }], before, options);
    for (const [key, rect] of before) expect(places?.get(key)).toEqual(rect);
    const placed = places?.get('d');
    expect(overlapping(places ?? new Map())).toEqual([]);
    expect(Math.abs((placed?.x ?? 0) - 300) + Math.abs(placed?.y ?? 0)).toBeLessThan(250);
    expect(placed?.x).toBeGreaterThanOrEqual(0);
  });

  it('leaves a gap where something went', () => {
    const places = settle([sized('a'), sized('c')], [], before, options);
    expect(places?.get('c')).toEqual(before.get('c'));
    expect(places?.size).toBe(2);
  });

  it('lets what grew stay if there is room, and moves it alone if there is none', () => {
    expect(settle([sized('a', 180), sized('b'), sized('c')], [], before, options)?.get('a')).toMatchObject({
      x: 0,
      y: 0,
    });
    const tight = settle([sized('a', 400), sized('b'), sized('c')], [], before, options);
    expect(tight?.get('b')).toEqual(before.get('b'));
    expect(tight?.get('c')).toEqual(before.get('c'));
    expect(overlapping(tight ?? new Map())).toEqual([]);
  });

  it('gives up when most is new', () => {
    expect(
      settle(
        ['a', 'x', 'y', 'z'].map((key) => sized(key)),
        [],
        before,
        options,
      ),
    ).toBeUndefined();
  });
});

describe('grid', () => {
  it('keeps slots, and gives those that came free to who comes', () => {
    const first = gridOf(['a', 'b', 'c'], undefined);
    const then = gridOf(['a', 'c', 'd'], first);
    expect(then.slots.get('a')).toBe(first.slots.get('a'));
    expect(then.slots.get('c')).toBe(first.slots.get('c'));
    expect(then.slots.get('d')).toBe(first.slots.get('b'));
    expect(gridSize(then)).toEqual(gridSize(first));
  });

  it('has every card inside and none on another', () => {
    const nodes = Array.from({ length: 11 }, (_, index) => `node-${index}`);
    const grid = gridOf(nodes, undefined);
    const box = { x: 10, y: 20, ...gridSize(grid) };
    const rects = new Map(nodes.map((node) => [node, slotRect(box, grid, node)]));
    expect(overlapping(rects)).toEqual([]);
    expect(bounds([...rects.values(), box])).toEqual(box);
  });
});

describe('keeper', () => {
  function keeper() {
    const finder: LayoutFinder = {
      find: vi.fn((all: readonly Item[], links: readonly Link[], options) =>
        Promise.resolve(arrange(all, links, options)),
      ),
      close: vi.fn(),
    };
    const onFound = vi.fn();
    const memory: LayoutMemory = new Map();
    const made = (): LayoutKeeper => new LayoutKeeper({ memory, finder, ratio: () => 1.5, onFound });
    return { finder, onFound, keeper: made(), again: made };
  }

  it('gives the next map of the same network what the one before had', async () => {
    const { finder, onFound, keeper: kept, again } = keeper();
    kept.layout(buildGraph(shop(), 'host'));
    await vi.waitFor(() => expect(onFound).toHaveBeenCalledTimes(1));
    const first = kept.layout(buildGraph(shop(), 'host'));
    kept.close();
    expect(again().layout(buildGraph(shop(), 'host'))).toBe(first);
    expect(finder.find).toHaveBeenCalledTimes(1);
  });

  it('seeks once, and never again while only data moves', async () => {
    const { finder, onFound, keeper: kept } = keeper();
    expect(kept.layout(buildGraph(shop(), 'host')).places.size).toBe(0);
    kept.layout(buildGraph(shop(), 'host'));
    await vi.waitFor(() => expect(onFound).toHaveBeenCalledWith(true));
    const first = kept.layout(buildGraph(shop(), 'host'));
    expect(kept.layout(buildGraph(shop([pair('web', 'a', 'redis', 'c', 99)]), 'host'))).toBe(first);
    expect(finder.find).toHaveBeenCalledTimes(1);
  });

  it('patches what is new into the old, and lays out anew when told to tidy', async () => {
    const { finder, onFound, keeper: kept } = keeper();
    kept.layout(buildGraph(shop(), 'host'));
    await vi.waitFor(() => expect(onFound).toHaveBeenCalledTimes(1));
    const first = kept.layout(buildGraph(shop(), 'host'));
    const grown = { ...shop(), agents: new Map([...shop().agents, ['d', agent('d')]]) };
    const second = kept.layout(buildGraph(grown, 'host'));
    for (const [key, rect] of first.places) expect(second.places.get(key)).toEqual(rect);
    expect(second.places.has('box:host:d')).toBe(true);
    expect(finder.find).toHaveBeenCalledTimes(1);
    kept.tidy(buildGraph(grown, 'host'));
    await vi.waitFor(() => expect(onFound).toHaveBeenLastCalledWith(true));
    expect(finder.find).toHaveBeenCalledTimes(2);
  });

  it('keeps the internet and its door left of everything', async () => {
    const { onFound, keeper: kept } = keeper();
    const graph = buildGraph(mesh([service('redis', ['a'])], [agent('a')]), 'network');
    kept.layout(graph);
    await vi.waitFor(() => expect(onFound).toHaveBeenCalled());
    const { places } = kept.layout(graph);
    const [internet, door, redis] = ['internet', 'door', 'redis@box:network'].map(
      (key) => places.get(key)?.x ?? Number.NaN,
    );
    expect(internet).toBeLessThan(door ?? 0);
    expect(door).toBeLessThan(redis ?? 0);
  });
});
