/** What the main thread listens on, as it tells of it. */
import type { ListenerSource } from '../../outbound/bind-shared.ts';
import type { ListenerSpec } from '../../outbound/listener-spec.ts';

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
