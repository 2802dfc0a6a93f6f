/** What the page knows of one network now: pieces by key, each replaced whole as events come. */
import { batch, type ReadonlySignal, type Signal, signal } from '@preact/signals';
import type { AgentView, LiveEvent, NetworkView, ServiceView, TrafficView } from '../../../src/dashboard/api.ts';
import { byName } from './format.ts';
import type { Sampling } from './sampling.ts';

export type { Sampling } from './sampling.ts';

/** `connecting` before the first event; `stale` when events stopped coming: what is shown may be over. */
export type Connection = 'connecting' | 'live' | 'stale';

/** As the views read it. A piece that did not change stays the same object. */
export interface LiveState {
  readonly network: ReadonlySignal<NetworkView | undefined>;
  /** By name, sorted. */
  readonly services: ReadonlySignal<ReadonlyMap<string, ServiceView>>;
  /** By host, sorted. */
  readonly agents: ReadonlySignal<ReadonlyMap<string, AgentView>>;
  /** By caller, in an order that stays. */
  readonly traffic: ReadonlySignal<readonly TrafficView[]>;
  readonly connection: ReadonlySignal<Connection>;
  /** Of the newest event, by control's clock; 0 before the first. */
  readonly atMs: ReadonlySignal<number>;
  /** Undefined while every record is shown. */
  readonly sampled: ReadonlySignal<Sampling | undefined>;
}

export class LiveStore implements LiveState {
  readonly network: Signal<NetworkView | undefined> = signal(undefined);
  readonly services: Signal<ReadonlyMap<string, ServiceView>> = signal(new Map());
  readonly agents: Signal<ReadonlyMap<string, AgentView>> = signal(new Map());
  readonly traffic: Signal<readonly TrafficView[]> = signal([]);
  readonly connection: Signal<Connection> = signal('connecting');
  readonly atMs: Signal<number> = signal(0);
  readonly sampled: Signal<Sampling | undefined> = signal(undefined);
  #pairs: ReadonlyMap<string, TrafficView> = new Map();

  /** A snapshot replaces all; what a snapshot leaves out is gone. */
  apply(event: LiveEvent): void {
    batch(() => {
      this.connection.value = 'live';
      this.atMs.value = event.atMs;
      if (event.network !== undefined) this.network.value = event.network;
      this.services.value = merged(this.services.value, event.services, event.snapshot);
      this.agents.value = merged(this.agents.value, event.agents, event.snapshot);
      const pairs = merged(this.#pairs, event.traffic, event.snapshot);
      if (pairs !== this.#pairs) this.traffic.value = [...pairs.values()];
      this.#pairs = pairs;
    });
  }

  /** Another network is chosen, or who looked signed out: nothing of the old one may stay. */
  clear(): void {
    batch(() => {
      this.connection.value = 'connecting';
      this.atMs.value = 0;
      this.network.value = undefined;
      this.services.value = new Map();
      this.agents.value = new Map();
      this.#pairs = new Map();
      this.traffic.value = [];
      this.sampled.value = undefined;
    });
  }
}

/** The same map when nothing changed, so that who reads it need not work. Sorted by key, so that no view jumps. */
function merged<Piece>(
  before: ReadonlyMap<string, Piece>,
  changes: Readonly<Record<string, Piece | null>> | undefined,
  snapshot: boolean,
): ReadonlyMap<string, Piece> {
  const changed = Object.entries(changes ?? {});
  if (changed.length === 0 && !snapshot) return before;
  const pieces = new Map(snapshot ? [] : before);
  let grew = snapshot;
  for (const [key, piece] of changed) {
    if (piece === null) {
      pieces.delete(key);
    } else {
      grew ||= !pieces.has(key);
      pieces.set(key, piece);
    }
  }
  if (!grew) return pieces;
  return new Map([...pieces].sort(([left], [right]) => byName(left, right)));
}
