/** Sees to it that every service an agent reports, may run and the mesh declares has a numbered instance in the state. */
import type { Logger } from 'pino';
import type { Presence, Presences } from '../netmap/presence.ts';
import type { NetworkState, StateStore } from '../state/types.ts';

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
