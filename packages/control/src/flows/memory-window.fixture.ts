/** A window that is all in memory, for tests: filters each record in turn, so that what the disk answers can be held against it. */
import { defined, type FlowRecord, passesFilter } from '@weft/proto';
import { Histogram, MINUTE_MS, SORT } from './history.ts';
import { type Confirms, FlowRing, type RingSink } from './ring.ts';
import type { FlowWindow } from './types.ts';

interface Held {
  readonly network: string;
  readonly cursor: number;
  readonly atMs: number;
  record: FlowRecord;
}

/** `confirms`: as of openFlowWindow. */
export function createFlowWindow(
  newest = 10_000,
  now: () => number = Date.now,
  confirms: Confirms = () => false,
): FlowWindow {
  const held: Held[] = [];
  const rings = new Map<string, FlowRing>();
  const ringOf = (network: string): FlowRing => {
    const known = rings.get(network);
    if (known !== undefined) return known;
    const sink: RingSink = {
      added(record) {
        held.push({ network, cursor: held.length + 1, atMs: now(), record });
        return held.length;
      },
      replaced(cursor, record) {
        (held[cursor - 1] as Held).record = record;
      },
    };
    const ring = new FlowRing(newest, sink, confirms);
    rings.set(network, ring);
    return ring;
  };
  const window: FlowWindow = {
    add(network, host, records, dropped, settled) {
      ringOf(network).add(host, records, dropped);
      settled?.();
    },
    async query(network, { filter, fromMs = 0, toMs = Infinity, before = Infinity, after = -1, limit }) {
      const found = held
        .filter(({ network: of, cursor }) => of === network && cursor < before && cursor > after)
        .filter(({ atMs }) => atMs >= fromMs && atMs < toMs)
        .filter(({ record }) => passesFilter(filter, record))
        .reverse();
      const flows = found.slice(0, limit).map(({ record, cursor }) => ({ record, cursor }));
      return { flows, older: found.length > limit ? flows.at(-1)?.cursor : undefined, complete: true };
    },
    async history(network, query) {
      const histogram = new Histogram(query, window.kept, now());
      for (const { record, atMs, network: of } of held) {
        const minute = Math.floor(atMs / MINUTE_MS);
        const { source, service, verdict } = query;
        const filter = {
          ...defined({ source, service, verdict }),
        };
        if (of !== network || minute < histogram.fromMinute || minute >= histogram.toMinute) continue;
        if (!passesFilter(filter, record)) continue;
        const { verdict: action, outcome, bytesSent: sent, bytesReceived: received } = record;
        const ended = outcome === 'closed' || outcome === 'reset' || outcome === 'denied';
        const sort = action === 'deny' ? SORT.denied : ended ? SORT.allowed : SORT.failed;
        histogram.add({ minute, sort, flows: 1, sent, received });
      }
      return { bucketMs: histogram.bucketMs, buckets: histogram.buckets, kept: window.kept };
    },
    follow: (network, filter, signal) => ringOf(network).follow(filter, signal),
    users: (network) => rings.get(network)?.users() ?? new Set(),
    forget(network) {
      rings.get(network)?.end();
      rings.delete(network);
      for (const [place, flow] of held.entries()) if (flow.network === network) held[place] = { ...flow, network: '' };
    },
    get last() {
      return held.length;
    },
    dropped: (network) => rings.get(network)?.dropped ?? 0,
    get kept() {
      return { records: held.length, oldestMs: held[0]?.atMs ?? 0, diskBytes: 0 };
    },
    close: async () => {},
  };
  return window;
}
