/**
 * The window of ended flows: the newest of each network in memory, for those who follow and to tell a flow that both its ends
 * report; all of them on disk, by a thread of its own.
 */
import { defined, entryOf } from '@weft/proto';
import type { Logger } from 'pino';
import { FlowKeeper } from './keeper.ts';
import { FLOW_LIMITS, type FlowLimits } from './limits.ts';
import { type Confirms, FlowRing, type RingSink } from './ring.ts';
import type { FlowWindow } from './types.ts';

export type { FlowWindow } from './types.ts';

export interface WindowOptions {
  readonly directory: string;
  readonly logger: Logger;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  readonly limits?: Partial<FlowLimits>;
  /** Whether the source of a flow may say that it was denied there later than its destination knows; it may not where left out. */
  readonly confirms?: (network: string, ...records: Parameters<Confirms>) => boolean;
  /** Of each network, in memory. */
  readonly newest?: number;
  /** Told after each write why not all of it is on disk, or nothing. */
  readonly wrote?: (failure: string | undefined) => void;
  /** Records that may wait for the disk. */
  readonly mostQueued?: number;
  /** For tests: another thread. */
  readonly entry?: URL;
}

const NEWEST = 10_000;
/** Of each network and of all: what is known again when it is sent again. 20 s of the heaviest load that control is made for. */
const KNOWN = 100_000;
const KNOWN_OF_ALL = 500_000;
/**
 * Cursors left out at a start: more than records could have been given one, and not been written, when control was killed.
 * So no cursor ever stands for two records.
 */
const SKIPPED_CURSORS = 1_000_000;
/**
 * Cursors begin at a start with the time, in steps of which more pass than records come: above all that were given before, also where the
 * records of then are gone or are those of an older copy. So a watch that is resumed from a place of then is told of a gap.
 */
const CURSORS_PER_MS = 100;

/** Opens the window in this directory, and makes it when it is not there; the caller holds the lock on control's data. */
export async function openFlowWindow(options: WindowOptions): Promise<FlowWindow> {
  const { directory, logger, now, newest = NEWEST, mostQueued, entry, wrote, confirms = () => false } = options;
  const rings = new Map<string, FlowRing>();
  let cursor = 0;
  const sinkOf = (network: string): RingSink => ({
    added(record) {
      cursor += 1;
      keeper.add(network, record, { cursor, atMs: now(), replaces: false });
      return cursor;
    },
    replaced: (told, record) => keeper.add(network, record, { cursor: told, atMs: now(), replaces: true }),
  });
  const known = (): number => Math.min(KNOWN, KNOWN_OF_ALL / rings.size);
  const ringOf = (network: string): FlowRing =>
    entryOf(rings, network, () => {
      return new FlowRing(newest, sinkOf(network), (...records) => confirms(network, ...records), known);
    });
  const keeper = new FlowKeeper({
    start: { directory, limits: { ...FLOW_LIMITS, ...options.limits }, restore: newest },
    logger,
    lost: (network, records) => {
      // Of one that was removed nothing is told any more.
      const ring = rings.get(network);
      if (ring !== undefined) ring.dropped += records;
    },
    restored: (flows) => {
      for (const flow of flows.toReversed()) ringOf(flow.network).restore(flow);
    },
    ...defined({ mostQueued, entry, wrote }),
  });
  await keeper.ready;
  cursor = Math.max(keeper.last + SKIPPED_CURSORS, Math.trunc(now()) * CURSORS_PER_MS);

  return {
    add(network, host, records, dropped, settled) {
      ringOf(network).add(host, records, dropped);
      if (settled !== undefined) keeper.whenSettled(settled);
    },
    // What is added later has a higher cursor: who follows from the same turn on misses nothing, and gets nothing twice.
    query: (network, query, signal) =>
      keeper.query(network, { ...query, before: Math.min(query.before ?? Infinity, cursor + 1) }, signal),
    history: (network, query, signal) => keeper.history(network, query, signal),
    follow: (network, filter, signal) => ringOf(network).follow(filter, signal),
    users: (network) => rings.get(network)?.users() ?? new Set(),
    forget(network) {
      rings.get(network)?.end();
      rings.delete(network);
      keeper.forget(network);
    },
    get last() {
      return cursor;
    },
    dropped: (network) => rings.get(network)?.dropped ?? 0,
    get kept() {
      return keeper.kept;
    },
    close: () => keeper.close(),
  };
}
