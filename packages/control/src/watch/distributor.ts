/**
 * When agents are told: a change marks its network, and a marked network is gathered into one new view that every feed is
 * offered. What takes something away goes out before the turn of the loop ends, the rest after a few milliseconds.
 */
import type { Logger } from 'pino';
import { NetworkView } from '../netmap/network-view.ts';
import type { Presences } from '../netmap/presence.ts';
import type { StateStore } from '../state/types.ts';
import type { Feed } from './feed.ts';
import { Registrar } from './registrar.ts';

export interface DistributorOptions {
  readonly state: StateStore;
  readonly logger: Logger;
  readonly gatherMs: number;
  readonly presences: (network: string) => Presences;
  /** Feeds of the network's connected agents, by agent id. */
  readonly feeds: (network: string) => Iterable<readonly [string, Feed]>;
}

interface Due {
  urgent: boolean;
  timer: NodeJS.Timeout | undefined;
}

const MOST_GATHER_MS = 100;

/** How long newcomers hold up the loop at a time. */
const WELCOME_MS = 20;

/** After a failure, before the next try. */
const RETRY_MS = 1_000;

export class Distributor {
  readonly #options: DistributorOptions;
  readonly #registrar: Registrar;
  readonly #views = new Map<string, NetworkView>();
  readonly #due = new Map<string, Due>();
  /** Networks whose newcomers are being served. */
  readonly #welcoming = new Set<string>();
  /** How long the last distribution took. Gathering lasts twice that, so that telling agents leaves time for hearing them. */
  #lastTookMs = 0;
  #closed: boolean = false;

  constructor(options: DistributorOptions) {
    this.#options = options;
    this.#registrar = new Registrar(options.state, options.logger);
  }

  /** Something that views of this network show has changed; `urgent` when anything was taken away. */
  mark(network: string, urgent: boolean): void {
    if (this.#closed) return;
    let due = this.#due.get(network);
    if (due === undefined) {
      due = { urgent: false, timer: undefined };
      this.#due.set(network, due);
    }
    if (due.urgent) return;
    if (urgent) {
      due.urgent = true;
      clearTimeout(due.timer);
      // Not within the change itself: several in one turn are one, and state may be read but not changed there.
      queueMicrotask(() => this.#distribute(network));
    } else {
      due.timer ??= setTimeout(() => this.#distribute(network), this.#gatherMs());
    }
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#due.values()) clearTimeout(timer);
    this.#due.clear();
  }

  #gatherMs(): number {
    return Math.max(this.#options.gatherMs, Math.min(2 * this.#lastTookMs, MOST_GATHER_MS));
  }

  #distribute(network: string): void {
    const started = performance.now();
    this.#guarded(network, () => this.#offer(network));
    this.#lastTookMs = performance.now() - started;
  }

  #guarded(network: string, work: () => void): void {
    if (this.#closed) return;
    try {
      work();
    } catch (error) {
      this.#options.logger.error(
        { event: 'distribution-failed', network, err: error },
        'agents were not told of a change',
      );
      this.#due.delete(network);
      setTimeout(() => this.mark(network, true), RETRY_MS).unref();
    }
  }

  #offer(name: string): void {
    const { state, presences, feeds } = this.#options;
    const before = state.current.networks.get(name);
    if (before !== undefined) this.#registrar.register(before, presences(name));
    // Registering marks the network again, but its outcome is in what is read from here on.
    clearTimeout(this.#due.get(name)?.timer);
    this.#due.delete(name);
    const network = state.current.networks.get(name);
    if (network === undefined) return;
    const view = new NetworkView(network, presences(name), this.#views.get(name));
    this.#views.set(name, view);
    for (const [agentId, feed] of feeds(name)) if (feed.begun) offer(view, agentId, feed);
    this.#welcome(name);
  }

  /**
   * Newcomers take their first view, a few at a time: after a restart all agents are, and the loop must get round between
   * them. Those who hold something already were served before, so that no denial waits for this.
   */
  #welcome(name: string): void {
    const view = this.#views.get(name);
    if (view === undefined || this.#closed || this.#welcoming.has(name)) return;
    const until = performance.now() + WELCOME_MS;
    for (const [agentId, feed] of this.#options.feeds(name)) {
      if (feed.begun) continue;
      offer(view, agentId, feed);
      if (performance.now() < until) continue;
      this.#welcoming.add(name);
      setImmediate(() => {
        this.#welcoming.delete(name);
        this.#guarded(name, () => this.#welcome(name));
      });
      return;
    }
  }
}

function offer(view: NetworkView, agentId: string, feed: Feed): void {
  const agentView = view.of(agentId);
  if (agentView !== undefined) feed.offer(agentView);
}
