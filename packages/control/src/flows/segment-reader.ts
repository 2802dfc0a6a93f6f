/**
 * Finds records of one segment, newest first. A filter is asked about shapes, of which there are few; then records are found
 * by them. Where those that pass lie dense, the newest rows are walked through; where they lie thin, the index of shapes
 * leads to them.
 */
import { compileFilter, entryOf, type FlowFilter } from '@weft/proto';
import { SegmentDamagedError } from './errors.ts';
import { COLUMNS, type FlowPacker, type FlowShape, ROW, splitId } from './packing.ts';
import type { Segment } from './segment.ts';

export interface SegmentQuery {
  readonly filter: FlowFilter;
  readonly fromMs: number;
  readonly toMs: number;
  readonly before: number;
  readonly after: number;
  /** Shapes that were asked about already, in other segments. */
  readonly verdicts: Map<FlowShape, Verdict>;
}

type Passes = ReturnType<typeof compileFilter>;

/** `detail`: passes when the detail holds the text that is asked for. */
export type Verdict = 'passes' | 'detail' | 'fails';

/** Least and most rows that are walked through before the index is asked. */
const LEAST_WALK = 2_000;
const MOST_WALK = 60_000;
const MANY_DETAILS = 10_000;

const FIELDS = 'cursor, shape, at, before, duration, id_high, id_low, revision, sent, received, detail';
const BETWEEN = 'cursor >= ?1 AND cursor < ?2';
const IN_SHAPES = 'shape IN (SELECT value FROM json_each(?3))';
const IN_OTHER_SHAPES = 'shape IN (SELECT value FROM json_each(?4))';
const HOLDS = 'instr(coalesce(lowered, words), ?5) > 0';
const DETAIL_HOLDS = `${IN_OTHER_SHAPES} AND detail IS NOT NULL AND (SELECT ${HOLDS} FROM details WHERE id = detail)`;
const SELECT = `SELECT ${FIELDS} FROM flows`;
const NEWEST = 'ORDER BY cursor DESC LIMIT';

const NTH = `SELECT cursor FROM flows WHERE ${BETWEEN} ${NEWEST} 1 OFFSET ?3`;
const ALL = `${SELECT} WHERE ${BETWEEN} ${NEWEST} ?3`;
const WALK = `${SELECT} NOT INDEXED WHERE ${BETWEEN} AND ${IN_SHAPES} ${NEWEST} ?4`;
const WALK_DETAILS = `${SELECT} NOT INDEXED WHERE ${BETWEEN} AND (${IN_SHAPES} OR ${DETAIL_HOLDS}) ${NEWEST} ?6`;
const BY_SHAPE = `SELECT cursor FROM flows INDEXED BY flows_by_shape WHERE ${IN_SHAPES} AND ${BETWEEN}`;
const INDEX = `${SELECT} WHERE cursor IN (${BY_SHAPE} ${NEWEST} ?4) ORDER BY cursor DESC`;
const BY_DETAIL = `SELECT cursor FROM flows INDEXED BY flows_by_detail
  WHERE detail IN (SELECT id FROM details WHERE ${HOLDS}) AND ${IN_OTHER_SHAPES} AND ${BETWEEN}`;
const INDEX_DETAILS = `${SELECT} WHERE cursor IN (${BY_SHAPE} UNION ALL ${BY_DETAIL} ${NEWEST} ?6) ORDER BY cursor DESC`;
const COUNT_DETAILS = `SELECT count(*) FROM (SELECT 1 FROM details WHERE ${HOLDS.replace('?5', '?1')} LIMIT ?2)`;
const BY_ID = `${SELECT} INDEXED BY flows_by_id WHERE id_high = ?3 AND id_low = ?4 AND ${BETWEEN} ORDER BY cursor DESC`;

/** Adds what passes to `found`, until it holds `limit` records. */
export function readSegment(segment: Segment, query: SegmentQuery, found: FlowPacker, limit: number): void {
  const [from, to] = cursorsOf(segment, query);
  if (from >= to) return;
  const reader = createReader(segment, query, found, limit);
  if (query.filter.id !== undefined) reader.byId(query.filter.id, from, to);
  else reader.byShape(from, to);
}

function createReader(segment: Segment, query: SegmentQuery, found: FlowPacker, limit: number) {
  const { id: _, ...ofShape } = query.filter;
  const { text: __, ...rest } = ofShape;
  const passesAll = compileFilter(ofShape);
  /** But for the text. */
  const passesRest = compileFilter(rest);

  function byId(id: string, from: number, to: number): void {
    const [high, low] = splitId(id);
    if (Number.isNaN(high) || Number.isNaN(low)) return;
    // Whoever begins flows chooses their identifiers: any number of records may bear this one.
    const alike = segment.statement(BY_ID).iterate(from, to, high | 0, low | 0);
    for (const row of alike as Iterable<unknown> as Iterable<number[]>) {
      if (found.records >= limit) return;
      const shape = segment.shapes().shapes[(row[1] ?? 0) - 1];
      if (shape !== undefined && passesAll(whole(shape, detail(row[10] ?? null)))) take(row);
    }
  }

  function byShape(from: number, to: number): void {
    const { shapes, counts } = segment.shapes();
    const passing: number[] = [];
    const byDetail: number[] = [];
    let expected = 0;
    for (let index = 0; index < shapes.length; index += 1) {
      const shape = shapes[index] as FlowShape;
      const verdict = entryOf(query.verdicts, shape, () => judge(whole(shape, '')));
      if (verdict === 'passes') {
        passing.push(index + 1);
        expected += counts[index] ?? 0;
      } else if (verdict === 'detail') byDetail.push(index + 1);
    }
    const wanted = (): number => limit - found.records;
    if (passing.length === shapes.length) {
      rows(ALL, from, to, wanted());
      return;
    }
    const text = (query.filter.text ?? '').toLowerCase();
    const holding = byDetail.length === 0 ? 0 : countDetails(text);
    if (passing.length === 0 && holding === 0) return;

    const share = expected / Math.max(1, segment.records);
    const walk = Math.min(MOST_WALK, Math.max(LEAST_WALK, (3 * wanted()) / Math.max(share, 1e-9)));
    // Few records by the index cost less than many rows looked at.
    const rare = expected + holding < Math.min(walk / 4, MANY_DETAILS);
    const lowest = rare ? to : below(from, to, Math.ceil(walk));
    const these = JSON.stringify(passing);
    if (holding === 0) {
      if (lowest < to) rows(WALK, lowest, to, these, wanted());
      if (wanted() > 0 && from < lowest) rows(INDEX, from, lowest, these, wanted());
      return;
    }
    const others = JSON.stringify(byDetail);
    if (lowest < to) rows(WALK_DETAILS, lowest, to, these, others, text, wanted());
    if (wanted() > 0 && from < lowest) rows(INDEX_DETAILS, from, lowest, these, others, text, wanted());
  }

  /** How many details hold the text; there is no need to count beyond many. */
  function countDetails(text: string): number {
    const [count] = segment.statement(COUNT_DETAILS).get(text, MANY_DETAILS) as unknown as [number];
    return count;
  }

  /** Lowest cursor of the newest rows before `to`, as many as `most`. */
  function below(from: number, to: number, most: number): number {
    const { first, last, records } = segment;
    // A start of control leaves a gap in the cursors.
    if (last - first < records) return Math.max(from, to - most);
    const nth = segment.statement(NTH).get(from, to, most) as unknown as [number] | undefined;
    return nth?.[0] ?? from;
  }

  function rows(sql: string, ...values: (number | string)[]): void {
    for (const row of segment.statement(sql).all(...values) as unknown as number[][]) take(row);
  }

  function judge(shape: Parameters<Passes>[0]): Verdict {
    if (passesAll(shape)) return 'passes';
    return query.filter.text !== undefined && passesRest(shape) ? 'detail' : 'fails';
  }

  function take(row: readonly number[]): void {
    if (found.records >= limit) return;
    const [cursor = 0, shape = 0, at = 0, before = 0, duration = 0, high = 0, low = 0, revision = 0, sent = 0] = row;
    const atMs = segment.baseMs + at;
    const packed = new Array<number>(COLUMNS).fill(0);
    packed[ROW.cursor] = cursor;
    packed[ROW.atMs] = atMs;
    packed[ROW.startedMs] = atMs - before;
    packed[ROW.durationMs] = duration;
    packed[ROW.idHigh] = high >>> 0;
    packed[ROW.idLow] = low >>> 0;
    packed[ROW.revision] = revision;
    packed[ROW.sent] = sent;
    packed[ROW.received] = row[9] ?? 0;
    const known = segment.shapes().shapes[shape - 1];
    if (known === undefined) throw new SegmentDamagedError(`no shape ${shape} in ${segment.path}`);
    found.addRow(known, detail(row[10] ?? null), packed);
  }

  function detail(id: number | null): string {
    if (id === null) return '';
    const [words] = (segment.statement('SELECT words FROM details WHERE id = ?').get(id) ?? []) as unknown as string[];
    return words ?? '';
  }

  return { byId, byShape };
}

const NUMBERS = { startedMs: 0, durationMs: 0, revision: 0, bytesSent: 0, bytesReceived: 0 };

function whole(shape: FlowShape, detail: string): Parameters<Passes>[0] {
  return { ...shape, ...NUMBERS, detail };
}

/** The cursors that the query's times and its own bound leave: times of a segment never fall. */
function cursorsOf(segment: Segment, { fromMs, toMs, before, after }: SegmentQuery): [from: number, to: number] {
  const { baseMs, lastMs, first, last } = segment;
  if (segment.records === 0 || toMs <= baseMs || fromMs > lastMs) return [0, 0];
  const from = fromMs <= baseMs ? first : firstAt(segment, fromMs);
  const to = toMs > lastMs ? last + 1 : firstAt(segment, toMs);
  return [Math.max(from, after + 1), Math.min(to, before)];
}

/** The first cursor at or after which records came at this time or later. */
function firstAt(segment: Segment, ms: number): number {
  const next = segment.statement('SELECT cursor, at FROM flows WHERE cursor >= ? ORDER BY cursor LIMIT 1');
  let [low, high] = [segment.first, segment.last + 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [cursor = 0, at = 0] = (next.get(middle) ?? []) as unknown as number[];
    if (segment.baseMs + at >= ms) high = middle;
    else low = cursor + 1;
  }
  return low;
}
