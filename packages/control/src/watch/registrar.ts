/** Sees to it that every service an agent reports, may run and the mesh declares has a numbered instance in the state. */
import type { Logger } from 'pino';
import type { Presence, Presences } from '../netmap/presence.ts';
import type { NetworkState, StateStore } from '../state/types.ts';

export class Registrar {
  readonly #state: StateStore;
  readonly #logger: Logger;
  /** The services map under which a presence was seen to: only another report or another mesh can ask for more. */
  readonly #seenTo = new WeakMap<Presence, NetworkState['services']>();

  constructor(state: StateStore, logger: Logger) {
    this.#state = state;
    this.#logger = logger;
  }

  /** Resolves at once when all are seen to. */
  async register(network: NetworkState, presences: Presences): Promise<void> {
    const registered: Promise<void>[] = [];
    for (const [agentId, presence] of presences) {
      if (this.#seenTo.get(presence) === network.services || !network.agents.has(agentId)) continue;
      registered.push(this.#register(agentId, presence, network));
    }
    await Promise.all(registered);
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
