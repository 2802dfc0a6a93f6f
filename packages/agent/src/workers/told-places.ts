/** The places that the main thread listens on, as it tells of them. */
import type { PlaceSource } from '../outbound/bind-shared.ts';
import type { Place } from '../outbound/places.ts';

export class ToldPlaces implements PlaceSource {
  readonly #places = new Map<string, Place>();
  readonly #listeners: (() => void)[] = [];

  get current(): ReadonlyMap<string, Place> {
    return this.#places;
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  tell(changes: ReadonlyMap<string, Place | null>): void {
    for (const [key, place] of changes) {
      if (place === null) this.#places.delete(key);
      else this.#places.set(key, place);
    }
    for (const listener of this.#listeners) listener();
  }
}
