/**
 * Places that several threads listen on. The first thread decides, by the netmap and by what the host's own programs hold,
 * and binds; the others listen on exactly what it has bound, so that a port is given way to once and by all.
 */
import type { BoundPlace } from './listeners.ts';
import type { Place } from './places.ts';

/** The other threads, to the first. */
export interface PlaceFollowers {
  /** Resolves when none of them holds a place that was closed before: until then a port of ours would seem taken. */
  released(): Promise<void>;
  opened(place: Place): void;
  closed(place: Place): void;
}

/** The first thread's places, to the others. */
export interface PlaceSource {
  /** By key. */
  readonly current: ReadonlyMap<string, Place>;
  onChange(listener: () => void): void;
}

/** How a thread shares the places: as the first, or after it. */
export type PlaceSharing =
  | { readonly share: 'first'; readonly followers: PlaceFollowers }
  | { readonly share: 'join'; readonly places: PlaceSource };

/** Binds as the first, and lets the others follow. */
export async function bindFirst(
  place: Place,
  bind: (place: Place) => Promise<BoundPlace>,
  followers: PlaceFollowers,
): Promise<BoundPlace> {
  await followers.released();
  const bound = await bind(place);
  followers.opened(place);
  return {
    close: () => {
      bound.close();
      followers.closed(place);
    },
  };
}
