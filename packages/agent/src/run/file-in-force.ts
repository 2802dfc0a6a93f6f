/** The agent file that is in force: replaced whole, while the agent runs. */
import type { AgentFile, AgentService } from '../config/agent-file.ts';

export class FileInForce {
  #current: AgentFile;
  readonly #services: Map<string, AgentService>;

  constructor(file: AgentFile) {
    this.#current = file;
    this.#services = new Map(file.services);
  }

  get current(): AgentFile {
    return this.#current;
  }

  /** Follows the file: who holds it has the services of now. */
  get services(): ReadonlyMap<string, AgentService> {
    return this.#services;
  }

  replace(file: AgentFile): void {
    this.#current = file;
    replaceEntries(this.#services, file.services);
  }
}

/** In one turn, so that nobody finds it in between. */
export function replaceEntries<Key, Value>(map: Map<Key, Value>, next: ReadonlyMap<Key, Value>): void {
  map.clear();
  for (const [key, value] of next) map.set(key, value);
}
