/**
 * Records in the form in which they cross between threads, and in which the disk has them: what many records share stands
 * once, the rest is a row of numbers. Copying a record as an object would cost ten times as much.
 */
import { type FlowRecord, SHARED_FLOW_FIELDS, type SharedFlowField } from '@weft/proto';

/** What a record shares with others of its sort. */
export interface FlowShape extends Pick<FlowRecord, SharedFlowField> {
  readonly network: string;
}

export interface PackedFlows {
  readonly shapes: readonly FlowShape[];
  readonly details: readonly string[];
  /** `COLUMNS` numbers a record. */
  readonly rows: Float64Array<ArrayBuffer>;
}

/** Places in a row. */
export const ROW = {
  cursor: 0,
  atMs: 1,
  shape: 2,
  /** -1 for none. */
  detail: 3,
  startedMs: 4,
  durationMs: 5,
  /** The identifier's first 8 digits, and its last. */
  idHigh: 6,
  idLow: 7,
  revision: 8,
  sent: 9,
  received: 10,
  /** 1 when the record takes the place of one told before. */
  replaces: 11,
} as const;

export const COLUMNS = 12;

export interface UnpackedFlow {
  readonly network: string;
  readonly cursor: number;
  readonly record: FlowRecord;
}

export interface Standing {
  readonly cursor: number;
  readonly atMs: number;
  readonly replaces: boolean;
}

export class FlowPacker {
  readonly #shapes: FlowShape[] = [];
  readonly #details: string[] = [];
  readonly #rows: number[] = [];
  /** By key, or by the shape itself where that is interned. */
  readonly #shapeAt = new Map<string | FlowShape, number>();
  readonly #detailAt = new Map<string, number>();
  /** Characters held, about. */
  characters = 0;

  get records(): number {
    return this.#rows.length / COLUMNS;
  }

  add(network: string, record: FlowRecord, { cursor, atMs, replaces }: Standing): void {
    const key = shapeKey(network, record);
    const known = this.#shapeAt.get(key);
    if (known === undefined) this.characters += key.length;
    const shape = known ?? this.#append(key, shapeOf(network, record));
    const { startedMs, durationMs, revision, bytesSent, bytesReceived } = record;
    const [idHigh, idLow] = splitId(record.id);
    this.#rows.push(cursor, atMs, shape, this.#detail(record.detail), startedMs, durationMs);
    this.#rows.push(idHigh, idLow, revision, bytesSent, bytesReceived, replaces ? 1 : 0);
  }

  /** A row whose places `shape` and `detail` are filled in here. */
  addRow(shape: FlowShape, detail: string, row: number[]): void {
    row[ROW.shape] = this.#shapeAt.get(shape) ?? this.#append(shape, shape);
    row[ROW.detail] = this.#detail(detail);
    for (const number of row) this.#rows.push(number);
  }

  pack(): PackedFlows {
    return { shapes: this.#shapes, details: this.#details, rows: Float64Array.from(this.#rows) };
  }

  #append(key: string | FlowShape, shape: FlowShape): number {
    this.#shapeAt.set(key, this.#shapes.length);
    return this.#shapes.push(shape) - 1;
  }

  #detail(detail: string): number {
    if (detail === '') return -1;
    let at = this.#detailAt.get(detail);
    if (at === undefined) {
      at = this.#details.push(detail) - 1;
      this.#detailAt.set(detail, at);
      this.characters += detail.length;
    }
    return at;
  }
}

export function* unpack({ shapes, details, rows }: PackedFlows): Generator<UnpackedFlow> {
  for (let start = 0; start < rows.length; start += COLUMNS) {
    const at = (column: number): number => rows[start + column] ?? 0;
    const shape = shapes[at(ROW.shape)];
    if (shape === undefined) throw new RangeError('a row names a shape that is not there');
    const { network, ...shared } = shape;
    const record: FlowRecord = {
      id: joinId(at(ROW.idHigh), at(ROW.idLow)),
      startedMs: at(ROW.startedMs),
      durationMs: at(ROW.durationMs),
      ...shared,
      revision: at(ROW.revision),
      bytesSent: at(ROW.sent),
      bytesReceived: at(ROW.received),
      detail: details[at(ROW.detail)] ?? '',
    };
    yield { network, cursor: at(ROW.cursor), record };
  }
}

/** Records of each network in what was packed. */
export function countRecords({ shapes, rows }: PackedFlows): Map<string, number> {
  const counts = new Map<string, number>();
  for (let start = 0; start < rows.length; start += COLUMNS) {
    const network = shapes[rows[start + ROW.shape] ?? 0]?.network ?? '';
    counts.set(network, (counts.get(network) ?? 0) + 1);
  }
  return counts;
}

/** No text of a record holds a control character: the wire's reader sees to it. */
export function shapeKey(network: string, shape: Omit<FlowShape, 'network'>): string {
  let key = network;
  for (const name of SHARED_FLOW_FIELDS) key += `\n${shape[name]}`;
  return key;
}

function shapeOf(network: string, record: FlowRecord): FlowShape {
  return sharedFrom(network, (name) => record[name]);
}

/** A shape of what is read, field by field: from a record, or from where control wrote it out of a record that was checked. */
export function sharedFrom(network: string, read: (name: SharedFlowField) => string | number): FlowShape {
  const shape: Record<string, string | number> = { network };
  for (const name of SHARED_FLOW_FIELDS) shape[name] = read(name);
  return shape as unknown as FlowShape;
}

/** Two halves of 32 bits: a double holds no 64. */
export function splitId(id: string): [high: number, low: number] {
  return [Number.parseInt(id.slice(0, 8), 16), Number.parseInt(id.slice(8), 16)];
}

function joinId(high: number, low: number): string {
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
}
