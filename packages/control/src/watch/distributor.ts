/**
 * When agents are told: a change marks its network, and a marked network is gathered into one new view that every feed is
 * offered. What takes something away goes out within a turn of the loop, the rest after a few milliseconds.
 */
import { entryOf } from '@weft/proto';
import type { Logger } from 'pino';
import { NetworkView } from '../netmap/network-view.ts';
import type { Presence, Presences } from '../netmap/presence.ts';
import type { ReadableParts } from '../netmap/readable.ts';
import type { AgentState, NetworkState, StateStore } from '../state/types.ts';
import type { Feed } from './feed.ts';

export interface DistributorOptions {
  readonly state: StateStore;
  readonly logger: Logger;
  readonly readable: ReadableParts;
  /** Where agents are told that control can be reached, HOST:PORT. */
  readonly controlAddresses: readonly string[];
  readonly gatherMs: number;
  /** How long offering views may hold up the loop at a time. */
  readonly sliceMs: number;
  /** Feeds of the network's connected agents, by agent id. */
  readonly feeds: (network: string) => Iterable<readonly [string, Feed]>;
}

interface Due {
  urgent: boolean;
  timer: NodeJS.Timeout | undefined;
}

const MOST_GATHER_MS = 100;

const NOBODY: Presences = new Map();

/** After a failure, before the next try. */
const RETRY_MS = 1_000;

export class Distributor {
  readonly #options: DistributorOptions;
  readonly #registrar: Registrar;
  /** How agents fare, by network. */
  readonly #presences = new Map<string, Map<string, Presence>>();
  readonly #views = new Map<string, NetworkView>();
  readonly #due = new Map<string, Due>();
  /** Agents of a network that a new view is to be offered to. */
  readonly #waiting = new Map<string, Map<string, Feed>>();
  /** Networks that go on being served in the next turn of the loop. */
  readonly #serving = new Set<string>();
  /** How long the last distribution took. Gathering lasts twice that, so that telling agents leaves time for hearing them. */
  #lastTookMs = 0;
  #closed: boolean = false;

  constructor(options: DistributorOptions) {
    this.#options = options;
    this.#registrar = new Registrar(options.state, options.logger);
  }

  /** How the agent fares now, as views show it; undefined when it is no member any more. */
  show({ id, network }: Pick<AgentState, 'id' | 'network'>, presence: Presence | undefined): void {
    const presences = this.#presences.get(network) ?? new Map<string, Presence>();
    if (presence === undefined) presences.delete(id);
    else presences.set(id, presence);
    if (presences.size > 0) this.#presences.set(network, presences);
    else this.#presences.delete(network);
    this.mark(network, false);
  }

  /** Something that views of this network show has changed; `urgent` when anything was taken away. */
  mark(network: string, urgent: boolean): void {
    if (this.#stopped) return;
    const due = entryOf(this.#due, network, (): Due => ({ urgent: false, timer: undefined }));
    if (due.urgent) return;
    if (urgent) {
      due.urgent = true;
      clearTimeout(due.timer);
      // Not within the change itself: several in one turn are one, and state may be read but not changed there.
      queueMicrotask(() => void this.#distribute(network));
    } else {
      due.timer ??= setTimeout(() => void this.#distribute(network), this.#gatherMs());
    }
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#due.values()) clearTimeout(timer);
    this.#due.clear();
  }

  /** An older copy of control's data is handed out to nobody: it may permit what agents have heard denied. */
  get #stopped(): boolean {
    return this.#closed || this.#options.state.olderData !== undefined;
  }

  #gatherMs(): number {
    return Math.max(this.#options.gatherMs, Math.min(2 * this.#lastTookMs, MOST_GATHER_MS));
  }

  async #distribute(name: string): Promise<void> {
    const network = this.#options.state.current.networks.get(name);
    if (network !== undefined && !this.#stopped) {
      // New instances come with the rest where writing them down takes no longer than a turn of the loop; no denial waits more
      // for a store that is slow, or hangs. They mark the network when they are there.
      const registered = this.#registrar.register(network, this.#presences.get(name) ?? NOBODY);
      await Promise.race([registered, new Promise((resolve) => setImmediate(resolve))]);
    }
    const started = performance.now();
    this.#guarded(name, () => this.#offer(name));
    this.#lastTookMs = performance.now() - started;
  }

  #guarded(network: string, work: () => void): void {
    if (this.#stopped) return;
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
    const { state, feeds } = this.#options;
    clearTimeout(this.#due.get(name)?.timer);
    this.#due.delete(name);
    const network = state.current.networks.get(name);
    if (network === undefined) {
      // Another of its name begins with nothing of this one.
      this.#views.delete(name);
      this.#waiting.delete(name);
      return;
    }
    const presences = this.#presences.get(name) ?? NOBODY;
    const { readable, controlAddresses } = this.#options;
    const view = new NetworkView(network, presences, this.#views.get(name), readable, controlAddresses);
    this.#views.set(name, view);
    const waiting = entryOf(this.#waiting, name, () => new Map());
    // One that waits already keeps its place, so that nobody waits for ever however often there is something new.
    for (const [agentId, feed] of feeds(name)) if (feed.begun) waiting.set(agentId, feed);
    this.#serve(name);
  }

  /**
   * Offers the newest view, to a few at a time: where every agent has rules of its own, or after a restart, a view for all of
   * them takes seconds, and the loop must get round meanwhile.
   */
  #serve(name: string): void {
    const view = this.#views.get(name);
    if (view === undefined || this.#closed || this.#serving.has(name)) return;
    const until = performance.now() + this.#options.sliceMs;
    for (const [agentId, feed] of this.#queue(name)) {
      offer(view, agentId, feed);
      if (performance.now() < until) continue;
      this.#serving.add(name);
      setImmediate(() => {
        this.#serving.delete(name);
        this.#guarded(name, () => this.#serve(name));
      });
      return;
    }
  }

  /** Those who hold something already, so that no denial waits for newcomers, who then take their first view. */
  *#queue(name: string): Generator<readonly [string, Feed]> {
    const waiting = this.#waiting.get(name) ?? new Map<string, Feed>();
    for (const [agentId, feed] of waiting) {
      waiting.delete(agentId);
      yield [agentId, feed];
    }
    for (const [agentId, feed] of this.#options.feeds(name)) if (!feed.begun) yield [agentId, feed];
  }
}

function offer(view: NetworkView, agentId: string, feed: Feed): void {
  const agentView = view.of(agentId, feed.capability);
  if (agentView !== undefined) feed.offer(agentView);
}

/** Sees to it that every service an agent reports, may run and the mesh declares has a numbered instance in the state. */
export class Registrar {
  readonly #state: StateStore;
  readonly #logger: Logger;
  /** The services map under which a presence was seen to: only another report or another mesh can ask for more. */
  readonly #seenTo = new WeakMap<Presence, NetworkState['services']>();
  /** What is wanted next of agents for which something is under way: the newest alone, however long a store hangs. */
  readonly #next = new Map<string, readonly [Presence, NetworkState] | undefined>();

  constructor(state: StateStore, logger: Logger) {
    this.#state = state;
    this.#logger = logger;
  }

  /** Resolves when what it began is seen to, at once where that is nothing. */
  async register(network: NetworkState, presences: Presences): Promise<void> {
    const registered: Promise<void>[] = [];
    for (const [agentId, presence] of presences) {
      if (this.#seenTo.get(presence) === network.services || !network.agents.has(agentId)) continue;
      const isUnderWay = this.#next.has(agentId);
      this.#next.set(agentId, [presence, network]);
      if (!isUnderWay) registered.push(this.#begin(agentId));
    }
    await Promise.all(registered);
  }

  async #begin(agentId: string): Promise<void> {
    for (let next = this.#next.get(agentId); next !== undefined; next = this.#next.get(agentId)) {
      this.#next.set(agentId, undefined);
      await this.#register(agentId, ...next);
    }
    this.#next.delete(agentId);
  }

  async #register(agentId: string, presence: Presence, { services: declared }: NetworkState): Promise<void> {
    const services = [...presence.instances.keys()].filter((service) => declared.has(service));
    try {
      if (services.length > 0) await this.#state.registerInstances(agentId, services);
      this.#seenTo.set(presence, declared);
    } catch (error) {
      // Its calls go nowhere until the next change tries again; everyone else must not wait for that.
      this.#logger.error({ event: 'instances-not-registered', agent: agentId, err: error }, 'instances not registered');
    }
  }
}
