/** What a worker follows of the main thread: where that listens, and which of this host's programs answer. */
import type { Protocol } from '@weft/proto';
import type { AgentService } from '../../config/agent-file.ts';
import type { TargetAddress } from '../../inbound/addresses.ts';
import { type LocalTargets, listensHere, otherKey, targetKey } from '../../inbound/target-watch.ts';
import type { ListenerSource } from '../../outbound/bind-shared.ts';
import type { ListenerSpec } from '../../outbound/listener-spec.ts';

/** What the main thread listens on, as it tells of it. */
export class FollowedListeners implements ListenerSource {
  readonly #specs = new Map<string, ListenerSpec>();
  readonly #listeners: (() => void)[] = [];

  get current(): ReadonlyMap<string, ListenerSpec> {
    return this.#specs;
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  tell(changes: ReadonlyMap<string, ListenerSpec | null>): void {
    for (const [key, spec] of changes) {
      if (spec === null) this.#specs.delete(key);
      else this.#specs.set(key, spec);
    }
    for (const listener of this.#listeners) listener();
  }
}

/** This host's programs, as the main thread tells of them: it alone watches. */
export class FollowedTargets implements LocalTargets {
  readonly #services: ReadonlyMap<string, AgentService>;
  #answering: ReadonlySet<string> = new Set();
  #firstUsers: ReadonlyMap<string, number> = new Map();
  others: ReadonlyMap<string, string> = new Map();
  readonly #listeners: (() => void)[] = [];

  constructor(services: ReadonlyMap<string, AgentService>) {
    this.#services = services;
  }

  tell(answering: ReadonlySet<string>): void {
    this.#answering = answering;
  }

  tellFirstUsers(users: ReadonlyMap<string, number>): void {
    this.#firstUsers = users;
    for (const listener of this.#listeners) listener();
  }

  tellOthers(others: ReadonlyMap<string, string>): void {
    this.others = others;
    for (const listener of this.#listeners) listener();
  }

  other(service: string, target: TargetAddress, protocol: Protocol): string | undefined {
    return this.others.get(otherKey(service, target, protocol));
  }

  get firstUsers(): ReadonlyMap<string, number> {
    return this.#firstUsers;
  }

  listening(service: string, port: number, protocol: Protocol): boolean {
    return listensHere(this.#services.get(service), port, protocol, this);
  }

  answers(target: TargetAddress, protocol: Protocol): boolean {
    return this.#answering.has(targetKey(target, protocol));
  }

  /** What the main thread has bound may be bound: it looked. */
  portUse(): 'free' {
    return 'free';
  }

  /** Called when a first user, or where another's program is not called, may have changed: nothing that a listener depends on does here. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }
}
