/** Which agent is which copy of a service: the lowest free number, kept for the agent's life. */

export class Ordinals {
  readonly #services = new Map<string, Map<number, string>>();
  readonly #agents = new Map<string, Map<string, number>>();

  constructor(rows: Iterable<{ readonly service: string; readonly ordinal: number; readonly agentId: string }>) {
    for (const { service, ordinal, agentId } of rows) this.#set(service, ordinal, agentId);
  }

  get(service: string, agentId: string): number | undefined {
    return this.#agents.get(agentId)?.get(service);
  }

  /** Gives the agent, which has none yet, a number for the service. */
  assign(service: string, agentId: string): number {
    const taken = this.#services.get(service);
    let ordinal = 0;
    while (taken?.has(ordinal) === true) ordinal++;
    this.#set(service, ordinal, agentId);
    return ordinal;
  }

  /** Copies of a service: number and agent. */
  copies(service: string): Iterable<[ordinal: number, agentId: string]> {
    return this.#services.get(service) ?? [];
  }

  /** Services that the agent is a copy of. */
  held(agentId: string): string[] {
    return [...(this.#agents.get(agentId)?.keys() ?? [])];
  }

  /** Frees the agent's number for one service, and says which it was. */
  remove(service: string, agentId: string): number | undefined {
    const ordinal = this.get(service, agentId);
    if (ordinal === undefined) return undefined;
    this.#agents.get(agentId)?.delete(service);
    this.#services.get(service)?.delete(ordinal);
    return ordinal;
  }

  /** Forgets the agent; the answer says which copies it was. */
  removeAgent(agentId: string): Iterable<[service: string, ordinal: number]> {
    const held = this.#agents.get(agentId) ?? new Map<string, number>();
    this.#agents.delete(agentId);
    for (const [service, ordinal] of held) this.#services.get(service)?.delete(ordinal);
    return held;
  }

  #set(service: string, ordinal: number, agentId: string): void {
    const copies = this.#services.get(service) ?? new Map<number, string>();
    this.#services.set(service, copies.set(ordinal, agentId));
    const held = this.#agents.get(agentId) ?? new Map<string, number>();
    this.#agents.set(agentId, held.set(service, ordinal));
  }
}
