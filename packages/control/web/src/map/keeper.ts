/** Keeps the layout of each grouping: the same while only data moves, patched when a little is new, sought anew otherwise. */
import { topologyKey } from './build.ts';
import { doorKey, type Grouping, internetKey, type MeshGraph } from './graph.ts';
import type { LayoutFinder } from './layouter.ts';
import { bounds, type Rect } from './places.ts';
import { emptyLayout, gapOf, gridsOf, itemsOf, type Layout, linksOf, marginOf, withDoor } from './plan.ts';
import { settle } from './settle.ts';

export interface KeeperOptions {
  readonly memory: LayoutMemory;
  readonly finder: LayoutFinder;
  /** Width to height of the room that the map has now. */
  readonly ratio: () => number;
  /** A layout that was sought is there. `anew` when nothing stayed where it was. */
  readonly onFound: (anew: boolean) => void;
}

interface Kept {
  readonly topology: string;
  readonly layout: Layout;
}

/** What was laid out of one network: given again to the next map of it, everything stands where it stood. */
export type LayoutMemory = Map<Grouping, Kept>;

export class LayoutKeeper {
  readonly #options: KeeperOptions;
  readonly #kept: LayoutMemory;
  /** Topology that is being sought. */
  #sought: string | undefined;
  #closed: boolean = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#kept = options.memory;
  }

  /** What is known now; empty until the first is found. */
  layout(graph: MeshGraph): Layout {
    const topology = topologyKey(graph);
    const kept = this.#kept.get(graph.grouping);
    if (kept?.topology === topology) return kept.layout;
    const before = kept?.layout ?? emptyLayout;
    const patched = this.#patched(graph, before);
    if (patched === undefined) {
      void this.#seek(graph, topology, before);
      return before;
    }
    this.#kept.set(graph.grouping, { topology, layout: patched });
    return patched;
  }

  /** Lays all of it out anew, by who calls whom now. */
  tidy(graph: MeshGraph): void {
    void this.#seek(graph, topologyKey(graph), emptyLayout);
  }

  close(): void {
    this.#closed = true;
    this.#options.finder.close();
  }

  #patched(graph: MeshGraph, before: Layout): Layout | undefined {
    const grids = gridsOf(graph, before);
    const places = new Map(before.places);
    const outside = [doorKey, internetKey].flatMap((key) => {
      const place = places.get(key);
      places.delete(key);
      return place === undefined ? [] : [[key, place] as const];
    });
    const leftMost = bounds(places.values())?.x ?? 0;
    const settled = settle(itemsOf(graph, grids), linksOf(graph), places, { gap: gapOf(graph), leftMost });
    return settled === undefined ? undefined : { places: new Map([...settled, ...outside]), grids };
  }

  async #seek(graph: MeshGraph, topology: string, before: Layout): Promise<void> {
    if (this.#sought === topology) return;
    this.#sought = topology;
    const grids = gridsOf(graph, emptyLayout);
    const options = { gap: gapOf(graph), ratio: this.#options.ratio() };
    let found: Map<string, Rect>;
    try {
      found = await this.#options.finder.find(itemsOf(graph, grids), linksOf(graph), options);
    } finally {
      if (this.#sought === topology) this.#sought = undefined;
    }
    if (this.#closed) return;
    this.#kept.set(graph.grouping, { topology, layout: { places: withDoor(found, marginOf(graph)), grids } });
    this.#options.onFound(before.places.size === 0);
  }
}
