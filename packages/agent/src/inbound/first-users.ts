/** Whose the place of a service is: the user's whom the agent file's `match` names, else who was seen first to listen there, for the agent's life. */
import { PLACE_PROBLEM } from '@weft/proto';
import type { AgentService } from '../config/agent-file.ts';
import { asWritten, isUnknownUser, knowsAllUsers, Users } from '../owner/users.ts';
import type { Problems } from '../words/problems.ts';

/** By port of a service: of each of its targets, in the order to try, the users who listen there. */
export type Listening = readonly (readonly (readonly number[])[])[];

/** Who makes sockets for others: systemd, and what begins as root and goes on as another. */
const ROOT = 0;

export class FirstUsers {
  readonly #problems: Problems;
  readonly #users = new Users();
  /** Whether a user's number may stand for any that the user namespace does not know, the one that is meant or root. */
  readonly #blurred = !knowsAllUsers();
  #first: ReadonlyMap<string, number> = new Map();
  /** By service without `match`, what is told of it. */
  #takers: ReadonlyMap<string, string> = new Map();

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

  /** To be called before some questions about others. */
  refresh(services: ReadonlyMap<string, AgentService>): void {
    if ([...services.values()].some(({ match }) => match?.user !== undefined)) this.#users.refresh();
  }

  /** Name of another user among those who listen for a service than its `match` names. A user that is not known here may be any. */
  otherThanMatched({ match }: AgentService, users: readonly number[]): string | undefined {
    const uid = match?.user === undefined ? undefined : this.#users.numberOf(match.user);
    if (uid === undefined) return undefined;
    const other = users.find((one) => one !== uid && one !== ROOT && !(this.#blurred && isUnknownUser(one)));
    return other === undefined ? undefined : this.#users.nameOf(other);
  }

  #forget(service: string): void {
    this.#first = new Map([...this.#first].filter(([name]) => name !== service));
  }

  #tell(listening: ReadonlyMap<string, Listening>): void {
    const takers = new Map<string, string>();
    for (const [service, ports] of listening) {
      const first = this.#first.get(service);
      if (first === undefined) continue;
      // Calls go to the first address where somebody listens.
      const called = ports.map((targets) => targets.find((users) => users.length > 0) ?? []);
      const [taker] = called.flatMap((users) => (users.includes(first) ? [] : users));
      if (taker !== undefined) takers.set(service, this.#afterFirst(service, taker, first));
    }
    for (const service of this.#takers.keys()) if (!takers.has(service)) this.#problems.clear(PLACE_PROBLEM, service);
    for (const [service, message] of takers)
      if (this.#takers.get(service) !== message)
        this.#problems.raise({ code: PLACE_PROBLEM, subject: service, message });
    this.#takers = takers;
  }

  #afterFirst(service: string, taker: number, seen: number): string {
    this.#users.refresh();
    const [now, first] = [this.#users.nameOf(taker), this.#users.nameOf(seen)];
    return (
      `a program of user ${now} listens where ${service} is served here, and user ${first} was seen there first: calls to ${service} come to it, ` +
      `and where rules tell apart who calls from here, it is not taken for ${service}, but for the host; where that program is right, let the agent file say ` +
      `match: { user: ${asWritten(now)} } for ${service}, or restart the agent; else end it`
    );
  }
}
