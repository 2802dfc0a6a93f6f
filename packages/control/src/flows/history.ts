/** Counts over time: the minutes of a segment, by whom they are asked for, and how they become columns. */

import { entryOf } from '@weft/proto';
import { rowsOf, type Segment } from './segment.ts';
import type { FlowBucket, HistoryQuery, KeptFlows } from './types.ts';

export const MINUTE_MS = 60_000;

/** What a minute's sum is of. */
export const SORT = { allowed: 0, denied: 1, failed: 2 } as const;

/** Sum of one minute of flows of one sort. */
export interface MinuteSum {
  readonly minute: number;
  readonly sort: number;
  readonly flows: number;
  readonly sent: number;
  readonly received: number;
}

export class Histogram {
  readonly bucketMs: number;
  /** Minutes that count: from the first, up to before the second. */
  readonly fromMinute: number;
  readonly toMinute: number;
  readonly #buckets = new Map<number, { -readonly [key in keyof FlowBucket]: FlowBucket[key] }>();

  /** From the oldest kept to now, where the query sets no bounds. A minute counts whole or not at all. */
  constructor({ fromMs, toMs, buckets }: HistoryQuery, { oldestMs }: KeptFlows, nowMs: number) {
    const end = Math.max(0, toMs ?? nowMs + 1);
    this.fromMinute = Math.floor(Math.min(fromMs ?? (oldestMs === 0 ? end : oldestMs), end) / MINUTE_MS);
    this.toMinute = Math.ceil(end / MINUTE_MS);
    let minutes = Math.max(1, Math.ceil((this.toMinute - this.fromMinute) / buckets));
    // Columns begin at multiples of their length, so that they stay where they are from one question to the next.
    while (columns(this.fromMinute, this.toMinute, minutes) > buckets) minutes += 1;
    this.bucketMs = minutes * MINUTE_MS;
  }

  add({ minute, sort, flows, sent, received }: MinuteSum): void {
    const startMs = Math.floor((minute * MINUTE_MS) / this.bucketMs) * this.bucketMs;
    const none = () => ({ startMs, allowed: 0, denied: 0, failed: 0, bytesSent: 0, bytesReceived: 0 });
    const bucket = entryOf(this.#buckets, startMs, none);
    if (sort === SORT.denied) bucket.denied += flows;
    else bucket.allowed += flows;
    if (sort === SORT.failed) bucket.failed += flows;
    bucket.bytesSent = countable(bucket.bytesSent + sent);
    bucket.bytesReceived = countable(bucket.bytesReceived + received);
  }

  get buckets(): FlowBucket[] {
    return [...this.#buckets.values()]
      .filter(({ allowed, denied }) => allowed + denied > 0)
      .sort((one, other) => one.startMs - other.startMs);
  }
}

/** What the wire and the page can carry: a sum is never more, whatever agents tell. */
function countable(sum: number): number {
  return Math.min(Math.max(0, Math.round(sum)), Number.MAX_SAFE_INTEGER);
}

function columns(fromMinute: number, toMinute: number, minutes: number): number {
  return Math.floor((toMinute - 1) / minutes) - Math.floor(fromMinute / minutes) + 1;
}

/** Groups first: SQLite, left to choose, would look at every minute of every group. CROSS JOIN keeps the order that is written. */
const GROUPS = `SELECT minute, sort, sum(flows), sum(minutes.sent), sum(received) FROM groups CROSS JOIN minutes ON grp = groups.id
  WHERE minute >= ?1 AND minute < ?2`;
const BY_MINUTE = 'GROUP BY minute, sort';
const WHOLE = `${GROUPS} AND source IS NULL AND service IS NULL ${BY_MINUTE}`;
const PAIRS = `${GROUPS} AND source IS NOT NULL AND (?3 IS NULL OR source = ?3) AND (?4 IS NULL OR service = ?4) ${BY_MINUTE}`;

/** Sums of the segment's minutes. */
export function* readMinutes(
  segment: Segment,
  { source, service, verdict }: HistoryQuery,
  fromMinute: number,
  toMinute: number,
): Generator<MinuteSum> {
  if (segment.records === 0 || segment.lastMs < fromMinute * MINUTE_MS || segment.baseMs >= toMinute * MINUTE_MS)
    return;
  const rows =
    source === undefined && service === undefined
      ? segment.statement(WHOLE).all(fromMinute, toMinute)
      : segment.statement(PAIRS).all(fromMinute, toMinute, source ?? null, service ?? null);
  for (const row of rowsOf(rows)) {
    const [minute = 0, sort = 0, flows = 0, sent = 0, received = 0] = row as readonly number[];
    if (verdict !== undefined && (sort === SORT.denied) !== (verdict === 'deny')) continue;
    yield { minute, sort, flows, sent, received };
  }
}
