/** Whose the place of a service is: the user's who was seen first to listen there, for the agent's life. */
import type { AgentService } from '../config/agent-file.ts';
import { Users } from '../owner/users.ts';
import type { Problems } from '../words/problems.ts';

/** By port of a service: of each of its targets, in the order to try, the users who listen there. */
export type Listening = readonly (readonly (readonly number[])[])[];

export class FirstUsers {
  readonly #problems: Problems;
  readonly #users = new Users();
  #first: ReadonlyMap<string, number> = new Map();
  /** By service. */
  #takers = new Map<string, number>();

  constructor(problems: Problems) {
    this.#problems = problems;
  }

  /** By service, of those without `match`. Another map where it has changed. */
  get all(): ReadonlyMap<string, number> {
    return this.#first;
  }

  /**
   * A look at who listens, by service; what is of a service that does not run here for now, or was declared at other ports before, stays. It is forgotten only where the agent file says
   * whose a place is, or has its service no more: whoever takes the place meanwhile would be the service else.
   */
  look(services: ReadonlyMap<string, AgentService>, listening: ReadonlyMap<string, Listening>): void {
    const isOpen = (service: string) => services.has(service) && services.get(service)?.match === undefined;
    for (const service of this.#first.keys()) if (!isOpen(service)) this.#forget(service);
    for (const [service, ports] of listening) {
      const users = new Set(ports.flat(2));
      // At several addresses, two users may listen; one of them is not the service, and nobody can tell which.
      const [only] = users.size === 1 ? users : [];
      if (only !== undefined && isOpen(service) && !this.#first.has(service))
        this.#first = new Map([...this.#first, [service, only]]);
    }
    this.#tell(listening);
  }

  #forget(service: string): void {
    this.#first = new Map([...this.#first].filter(([name]) => name !== service));
  }

  #tell(listening: ReadonlyMap<string, Listening>): void {
    const takers = new Map<string, number>();
    for (const [service, first] of this.#first) {
      // Calls go to the first address where somebody listens.
      const called = listening.get(service)?.map((targets) => targets.find((users) => users.length > 0) ?? []) ?? [];
      const [taker] = called.flatMap((users) => (users.includes(first) ? [] : users));
      if (taker !== undefined) takers.set(service, taker);
    }
    for (const service of this.#takers.keys()) if (!takers.has(service)) this.#problems.clear('place-taken', service);
    for (const [service, taker] of takers) if (this.#takers.get(service) !== taker) this.#raise(service, taker);
    this.#takers = takers;
  }

  #raise(service: string, taker: number): void {
    this.#users.refresh();
    const now = this.#users.nameOf(taker);
    const first = this.#users.nameOf(this.#first.get(service) ?? taker);
    const message =
      `a program of user ${now} listens where ${service} is served here, and user ${first} was seen there first: calls to ${service} come to it, ` +
      `and where rules tell apart who calls from here, it is not taken for ${service}, but for the host; where that program is right, let the agent file say ` +
      `match: { user: ${now} } for ${service}, or restart the agent; else end it`;
    this.#problems.raise({ code: 'place-taken', subject: service, message });
  }
}
