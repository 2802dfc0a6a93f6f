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

  /** Changes the state, so never to be called from one of its listeners. */
  register(network: NetworkState, presences: Presences): void {
    for (const [agentId, presence] of presences) {
      if (this.#seenTo.get(presence) === network.services || !network.agents.has(agentId)) continue;
      const services = [...presence.instances.keys()].filter((service) => network.services.has(service));
      try {
        if (services.length > 0) this.#state.registerInstances(agentId, services);
        this.#seenTo.set(presence, network.services);
      } catch (error) {
        // Its calls go nowhere until the next change tries again; everyone else must not wait for that.
        this.#logger.error(
          { event: 'instances-not-registered', agent: agentId, err: error },
          'instances not registered',
        );
      }
    }
  }
}
