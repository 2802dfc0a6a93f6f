/** Sums of one segment's minutes, by whom they are asked for. */
import { MINUTE_MS, type MinuteSum, SORT } from './history.ts';
import { rowsOf, type Segment } from './segment.ts';
import type { HistoryQuery } from './types.ts';

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
