/** Two updates of a worker as one. */
import { defined, itemKey, type NetmapDelta, type NetmapItem } from '@weft/proto';
import type { Update } from './messages.ts';

export function mergeUpdates(before: Update, after: Update): Update {
  const netmap = mergeDeltas(before.netmap, after.netmap);
  const services = after.services ?? before.services;
  const answering = after.answering ?? before.answering;
  const firstUsers = after.firstUsers ?? before.firstUsers;
  const others = after.others ?? before.others;
  const listeners =
    before.listeners === undefined || after.listeners === undefined
      ? (after.listeners ?? before.listeners)
      : new Map([...before.listeners, ...after.listeners]);
  return {
    ...defined({ services, netmap, answering, firstUsers, others, listeners }),
  };
}

/** A change from where the first began to where the second ends. */
export function mergeDeltas(before: NetmapDelta | undefined, after: NetmapDelta | undefined): NetmapDelta | undefined {
  if (before === undefined || after === undefined || after.snapshot) return after ?? before;
  const upserts = new Map<string, NetmapItem>(before.upserts.map((item) => [itemKey(item), item]));
  const removals = new Set(before.removals);
  for (const key of after.removals) {
    upserts.delete(key);
    removals.add(key);
  }
  for (const item of after.upserts) upserts.set(itemKey(item), item);
  const { timeline, index, revision } = after;
  const { previous, snapshot } = before;
  return { timeline, index, revision, previous, snapshot, upserts: [...upserts.values()], removals: [...removals] };
}

/**
 * Items with bytes of their own. Cloning a view copies all the memory behind it, which here is the message it came in, or a
 * pool that other secrets lie in.
 */
export function portable(items: Iterable<NetmapItem>): readonly NetmapItem[] {
  return Array.from(items, (item) =>
    item.type === 'peer'
      ? { ...item, tunnelKey: Uint8Array.from(item.tunnelKey), psk: Uint8Array.from(item.psk) }
      : item,
  );
}
