/** What one agent may know at one moment: a few parts, shared with every agent that may know the same. */
import { entryOf, type NetmapItem } from '@weft/proto';
import type { Entry, Viewer } from './entry.ts';

/** Items by key. Never changed once made; the same part in two views is the same object. */
export type Part = ReadonlyMap<string, Entry>;

export class AgentView {
  readonly viewer: Viewer;
  readonly revision: number;
  /** No key stands in two of them. */
  readonly parts: readonly Part[];
  /** Peers are shared by agents of one profile, which may be each other's peers but not their own. */
  readonly #own: string;

  constructor(viewer: Viewer, revision: number, parts: readonly Part[]) {
    this.viewer = viewer;
    this.revision = revision;
    this.parts = parts;
    this.#own = `peer/${viewer.agentId}`;
  }

  get(key: string): Entry | undefined {
    if (key === this.#own) return undefined;
    for (const part of this.parts) {
      const entry = part.get(key);
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  *entries(): Generator<Entry> {
    for (const part of this.parts) for (const entry of part.values()) if (entry.key !== this.#own) yield entry;
  }

  /** The view as plain values, by key. */
  items(): Map<string, NetmapItem> {
    return new Map(Array.from(this.entries(), (entry) => [entry.key, entry.item(this.viewer)]));
  }
}

/** What takes an agent from what it holds to its view. */
export interface Difference {
  readonly upserts: readonly Entry[];
  readonly removals: readonly string[];
}

/** `memory` holds differences of parts already found: many agents go from the same part to the same part. */
export function difference(before: AgentView, after: AgentView, memory: PartDifferences): Difference {
  const touched = new Set<string>();
  for (const [index, part] of after.parts.entries()) {
    for (const key of memory.between(before.parts[index] ?? NOTHING, part)) touched.add(key);
  }
  const upserts: Entry[] = [];
  const removals: string[] = [];
  // Asked of the whole views: a service that became a worker leaves one part and may enter another.
  for (const key of touched) {
    const next = after.get(key);
    if (next === before.get(key)) continue;
    if (next === undefined) removals.push(key);
    else upserts.push(next);
  }
  return { upserts, removals };
}

/** `held` maps the keys an agent holds to their digests, as its inventory says. */
export function differenceFromInventory(held: ReadonlyMap<string, string>, after: AgentView): Difference {
  const upserts: Entry[] = [];
  for (const entry of after.entries()) if (held.get(entry.key) !== entry.digest(after.viewer)) upserts.push(entry);
  return { upserts, removals: Array.from(held.keys()).filter((key) => after.get(key) === undefined) };
}

export class PartDifferences {
  /** Weak, so that a part lives only as long as some view holds it. */
  readonly #known = new WeakMap<Part, WeakMap<Part, readonly string[]>>();

  /** Keys whose entry is not the same in both. */
  between(before: Part, after: Part): readonly string[] {
    if (before === after) return [];
    const from = entryOf(this.#known, before, () => new WeakMap());
    return entryOf(from, after, () => changedKeys(before, after));
  }
}

const NOTHING: Part = new Map();

function changedKeys(before: Part, after: Part): string[] {
  const keys: string[] = [];
  for (const [key, entry] of after) if (before.get(key) !== entry) keys.push(key);
  for (const key of before.keys()) if (!after.has(key)) keys.push(key);
  return keys;
}
