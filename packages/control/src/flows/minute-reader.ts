/** Sums of one segment's minutes, by whom they are asked for. */
import { MINUTE_MS, type MinuteSum, SORT } from './history.ts';
import { rowsOf, type Segment } from './segment.ts';
import type { HistoryQuery } from './types.ts';

const GROUPS = `SELECT minute, sort, sum(flows), sum(minutes.sent), sum(received) FROM groups JOIN minutes ON grp = groups.id
  WHERE network = ?1 AND minute >= ?2 AND minute < ?3`;
const BY_MINUTE = 'GROUP BY minute, sort';
const WHOLE = `${GROUPS} AND source IS NULL AND service IS NULL ${BY_MINUTE}`;
const PAIRS = `${GROUPS} AND source IS NOT NULL AND (?4 IS NULL OR source = ?4) AND (?5 IS NULL OR service = ?5) ${BY_MINUTE}`;

/** Sums of the segment's minutes. */
export function* readMinutes(
  segment: Segment,
  network: string,
  { source, service, verdict }: HistoryQuery,
  fromMinute: number,
  toMinute: number,
): Generator<MinuteSum> {
  if (segment.records === 0 || segment.lastMs < fromMinute * MINUTE_MS || segment.baseMs >= toMinute * MINUTE_MS)
    return;
  const rows =
    source === undefined && service === undefined
      ? segment.statement(WHOLE).all(network, fromMinute, toMinute)
      : segment.statement(PAIRS).all(network, fromMinute, toMinute, source ?? null, service ?? null);
  for (const row of rowsOf(rows)) {
    const [minute = 0, sort = 0, flows = 0, sent = 0, received = 0] = row as readonly number[];
    if (verdict !== undefined && (sort === SORT.denied) !== (verdict === 'deny')) continue;
    yield { minute, sort, flows, sent, received };
  }
}
