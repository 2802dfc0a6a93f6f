/** Writes records into a segment: rows, the shapes they are of, and the sums of their minutes, all in one transaction. */
import { entryOf, OUTCOMES, SHARED_FLOW_FIELDS } from '@weft/proto';
import { MINUTE_MS, SORT } from './history.ts';
import { COLUMNS, type FlowShape, type PackedFlows, ROW, shapeKey } from './packing.ts';
import { rowsOf, type Segment } from './segment.ts';
import { SHARED_COLUMNS } from './segment-schema.ts';
import { digestOf } from './shapes.ts';

/** Details that are remembered, so that one that comes again is not written again. */
const DETAILS = 4_096;
/** Groups and minutes in one number. */
const MINUTES = 2 ** 32;

/** Columns by their names: a newer version may have added some. */
const INSERT = `INSERT INTO flows
  (cursor, shape, at, before, duration, id_high, id_low, revision, sent, received, detail)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const INSERT_SHAPE = `INSERT INTO shapes (id, grp, records, digest, ${SHARED_COLUMNS})
  VALUES (?, ?, 0, ?${', ?'.repeat(SHARED_FLOW_FIELDS.length)})`;
const UPDATE = `UPDATE flows SET shape = ?, before = ?, duration = ?, id_high = ?, id_low = ?, revision = ?, sent = ?, received = ?,
  detail = ? WHERE cursor = ?`;
const TOLD = 'SELECT shape, at, sent, received FROM flows WHERE cursor = ?';
const ADD_MINUTE = `INSERT INTO minutes (grp, minute, flows, sent, received) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET flows = flows + excluded.flows, sent = sent + excluded.sent, received = received + excluded.received`;

interface Sum {
  flows: number;
  sent: number;
  received: number;
}

export class SegmentWriter {
  readonly segment: Segment;
  /** By digest, and by group's key: the names themselves, as long as a peer may make them, are held elsewhere, bounded. */
  readonly #shapeIds = new Map<string, number>();
  readonly #groupIds = new Map<string, number>();
  readonly #detailIds = new Map<string, number>();
  /** Of the pack that is written. */
  readonly #ofPack = new Map<FlowShape, number>();
  /** Records that shapes gained in this transaction, and sums of minutes. */
  readonly #gained = new Map<number, number>();
  readonly #sums = new Map<number, Sum>();

  constructor(segment: Segment) {
    this.segment = segment;
    for (const [id, digest] of rowsOf(segment.statement('SELECT id, digest FROM shapes').iterate())) {
      this.#shapeIds.set(String(digest), Number(id));
    }
    for (const [id, source, service, sort] of segment
      .statement('SELECT id, source, service, sort FROM groups')
      .all() as unknown as [number, string | null, string | null, number][]) {
      this.#groupIds.set(groupKey(source, service, sort), id);
    }
  }

  /** Shapes in the segment. */
  get shapes(): number {
    return this.#shapeIds.size;
  }

  /** All of it is on disk when this returns, or nothing when it throws; after that the writer is of no use. */
  transaction(work: () => void): void {
    const { segment } = this;
    const { first, last, lastMs, records } = segment;
    segment.database.exec('BEGIN IMMEDIATE');
    try {
      work();
      this.#writeSums();
      segment.database.exec('COMMIT');
    } catch (error) {
      Object.assign(segment, { first, last, lastMs, records });
      // It counts shapes that are not there.
      segment.forgetShapes();
      // After some failures, such as a full disk, SQLite has rolled back by itself.
      if (segment.database.isTransaction) segment.database.exec('ROLLBACK');
      throw error;
    } finally {
      this.#ofPack.clear();
    }
  }

  /** One new record, within a transaction. */
  insert(packed: PackedFlows, index: number): void {
    const { segment } = this;
    const at = valuesAt(packed, index);
    const cursor = at(ROW.cursor);
    // Times of a segment never fall, so that a time can be searched for.
    const atMs = Math.max(at(ROW.atMs), segment.lastMs);
    const shape = this.#shapeId(shapeAt(packed, index));
    segment
      .statement(INSERT)
      .run(cursor, shape, atMs - segment.baseMs, atMs - at(ROW.startedMs), ...this.#told(packed, at));
    if (segment.records === 0) segment.first = cursor;
    segment.records += 1;
    segment.last = cursor;
    segment.lastMs = atMs;
    this.#count(shape, atMs, 1, at(ROW.sent), at(ROW.received));
  }

  /** The other word on a record that is here, within a transaction. One that is not is let go. */
  replace(packed: PackedFlows, index: number): void {
    const { segment } = this;
    const at = valuesAt(packed, index);
    const told = segment.statement(TOLD).get(at(ROW.cursor)) as unknown as [number, number, number, number] | undefined;
    if (told === undefined) return;
    const [before, offset, sent, received] = told;
    const atMs = segment.baseMs + offset;
    this.#count(before, atMs, -1, -sent, -received);
    const shape = this.#shapeId(shapeAt(packed, index));
    segment.statement(UPDATE).run(shape, atMs - at(ROW.startedMs), ...this.#told(packed, at), at(ROW.cursor));
    this.#count(shape, atMs, 1, at(ROW.sent), at(ROW.received));
  }

  /** From `duration` to `detail`. */
  #told({ details }: PackedFlows, at: (column: number) => number): (number | null)[] {
    const { durationMs, idHigh, idLow, revision, sent, received, detail } = ROW;
    const id = [at(idHigh) | 0, at(idLow) | 0];
    return [at(durationMs), ...id, at(revision), at(sent), at(received), this.#detailId(details[at(detail)])];
  }

  #count(shape: number, atMs: number, flows: number, sent: number, received: number): void {
    const known = this.segment.shapes();
    const { verdict, outcome } = known.shapes[shape - 1] as FlowShape;
    known.counts[shape - 1] = (known.counts[shape - 1] ?? 0) + flows;
    this.#gained.set(shape, (this.#gained.get(shape) ?? 0) + flows);
    const minute = Math.floor(atMs / MINUTE_MS);
    const whole = this.#groupId(null, null, sortOf(verdict, outcome));
    for (const group of [known.groups[shape - 1] ?? 0, whole]) {
      const key = group * MINUTES + minute;
      const sum = entryOf(this.#sums, key, () => ({ flows: 0, sent: 0, received: 0 }));
      sum.flows += flows;
      sum.sent += sent;
      sum.received += received;
    }
  }

  #writeSums(): void {
    const gain = this.segment.statement('UPDATE shapes SET records = records + ? WHERE id = ?');
    for (const [shape, records] of this.#gained) gain.run(records, shape);
    const add = this.segment.statement(ADD_MINUTE);
    for (const [key, { flows, sent, received }] of this.#sums) {
      add.run(Math.floor(key / MINUTES), key % MINUTES, flows, sent, received);
    }
    this.#gained.clear();
    this.#sums.clear();
  }

  #shapeId(shape: FlowShape): number {
    return entryOf(this.#ofPack, shape, () => {
      const digest = digestOf(shapeKey(shape.network, shape));
      return this.#shapeIds.get(digest) ?? this.#insertShape(shape, digest);
    });
  }

  #insertShape(shape: FlowShape, digest: string): number {
    const { source, service, verdict, outcome } = shape;
    // In memory first: loaded after the row is written, they would hold it twice.
    this.segment.shapes();
    const group = this.#groupId(source, service, sortOf(verdict, outcome));
    const id = this.#shapeIds.size + 1;
    this.segment.statement(INSERT_SHAPE).run(id, group, digest, ...SHARED_FLOW_FIELDS.map((name) => shape[name]));
    this.segment.addShape(shape, digest, group);
    this.#shapeIds.set(digest, id);
    return id;
  }

  #groupId(source: string | null, service: string | null, sort: number): number {
    return entryOf(this.#groupIds, groupKey(source, service, sort), () => {
      const id = this.#groupIds.size + 1;
      this.segment
        .statement('INSERT INTO groups (id, source, service, sort) VALUES (?, ?, ?, ?)')
        .run(id, source, service, sort);
      return id;
    });
  }

  #detailId(words: string | undefined): number | null {
    if (words === undefined) return null;
    let id = this.#detailIds.get(words);
    if (id === undefined) {
      // SQLite lowers ASCII only; here it is done as `passesFilter` does.
      const lowered = words.toLowerCase();
      const insert = this.segment.statement('INSERT INTO details (words, lowered) VALUES (?, ?)');
      id = Number(insert.run(words, lowered === words ? null : lowered).lastInsertRowid);
      if (this.#detailIds.size >= DETAILS) this.#detailIds.clear();
      this.#detailIds.set(words, id);
    }
    return id;
  }
}

function valuesAt({ rows }: PackedFlows, index: number): (column: number) => number {
  return (column) => rows[index * COLUMNS + column] ?? 0;
}

function shapeAt({ shapes, rows }: PackedFlows, index: number): FlowShape {
  const shape = shapes[rows[index * COLUMNS + ROW.shape] ?? -1];
  if (shape === undefined) throw new RangeError('a row names a shape that is not there');
  return shape;
}

function groupKey(source: string | null, service: string | null, sort: number): string {
  return `${source ?? '\n'}\n${service ?? '\n'}\n${sort}`;
}

function sortOf(verdict: FlowShape['verdict'], outcome: FlowShape['outcome']): number {
  if (verdict === 'deny') return SORT.denied;
  return OUTCOMES[outcome].failed ? SORT.failed : SORT.allowed;
}
