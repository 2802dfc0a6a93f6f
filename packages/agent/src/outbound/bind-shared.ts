/**
 * Listeners that several threads listen on. The first thread decides, by the netmap and by what the host's own programs hold,
 * and binds; the others listen on exactly what it has bound, so that a port is given way to once and by all.
 */

import type { ListenerSpec } from './listener-spec.ts';
import type { BoundListener } from './listeners.ts';

/** The other threads, to the first. */
export interface ListenerFollowers {
  /** Resolves when none of them holds a listener that was closed before: until then a port of ours would seem taken. */
  released(): Promise<void>;
  opened(spec: ListenerSpec): void;
  closed(spec: ListenerSpec): void;
}

/** The first thread's listeners, to the others. */
export interface ListenerSource {
  /** By key. */
  readonly current: ReadonlyMap<string, ListenerSpec>;
  onChange(listener: () => void): void;
}

/** How a thread shares the listeners: as the first, or after it. */
export type ListenerSharing =
  | { readonly share: 'first'; readonly followers: ListenerFollowers }
  | { readonly share: 'join'; readonly listeners: ListenerSource };

/** Binds as the first, and lets the others follow. */
export async function bindFirst(
  spec: ListenerSpec,
  bind: (spec: ListenerSpec) => Promise<BoundListener>,
  followers: ListenerFollowers,
): Promise<BoundListener> {
  await followers.released();
  const bound = await bind(spec);
  followers.opened(spec);
  return {
    close: () => {
      bound.close();
      followers.closed(spec);
    },
  };
}
