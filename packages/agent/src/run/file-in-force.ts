/** The agent file that is in force: replaced whole, while the agent runs. */
import type { AgentFile, AgentService } from '../config/agent-file.ts';

export class FileInForce {
  #current: AgentFile;
  readonly #services: Map<string, AgentService>;
  /** How many programs in sandboxes run as each. */
  readonly #shutIn = new Map<string, number>();

  constructor(file: AgentFile) {
    this.#current = file;
    this.#services = new Map(file.services);
  }

  get current(): AgentFile {
    return this.#current;
  }

  /** Follows the file, and who runs in sandboxes: who holds it has the services of now. */
  get services(): ReadonlyMap<string, AgentService> {
    return this.#services;
  }

  replace(file: AgentFile): void {
    this.#current = file;
    this.#merge();
  }

  /** A program runs as this service in a sandbox. Answers whether the services are others by that. */
  enter(service: string): boolean {
    const before = this.#services.size;
    this.#shutIn.set(service, (this.#shutIn.get(service) ?? 0) + 1);
    this.#merge();
    return this.#services.size !== before;
  }

  /** It is gone. Answers as `enter`. */
  leave(service: string): boolean {
    const before = this.#services.size;
    const left = (this.#shutIn.get(service) ?? 0) - 1;
    if (left > 0) this.#shutIn.set(service, left);
    else this.#shutIn.delete(service);
    this.#merge();
    return this.#services.size !== before;
  }

  #merge(): void {
    const inside = [...this.#shutIn.keys()].map((name): [string, AgentService] => [
      name,
      { name, targets: [], shutIn: true },
    ]);
    replaceEntries(this.#services, new Map([...inside, ...this.#current.services]));
  }
}

/** In one turn, so that nobody finds it in between. */
export function replaceEntries<Key, Value>(map: Map<Key, Value>, next: ReadonlyMap<Key, Value>): void {
  map.clear();
  for (const [key, value] of next) map.set(key, value);
}
