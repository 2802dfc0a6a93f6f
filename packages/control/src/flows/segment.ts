/** One segment: a SQLite file that holds the records of at most an hour, and is removed whole. */
import { closeSync, constants, openSync, rmSync, statSync, writeSync } from 'node:fs';
import type { StatementSync } from 'node:sqlite';
import { entryOf, FLOW_OUTCOMES, isAbsent, REPORTED_PROTOCOLS, SHARED_FLOW_FIELDS } from '@weft/proto';
import { DatabaseSync, readFileNow } from '@weft/proto/files';
import { SegmentDamagedError } from './errors.ts';
import { type FlowShape, sharedFrom } from './packing.ts';
import type { SegmentFile } from './segment-directory.ts';
import { checkSegment, createTables, SHARED_COLUMNS, upgradeTables } from './segment-schema.ts';
import type { SegmentShapes, ShapeInterner } from './shapes.ts';

/** Kibibytes of pages held in memory for what a query walks through; while it is written, its indexes need more. */
const READING_CACHE = 1_024;

/** Over what was there, through no link, and never waiting for who reads a pipe. */
const NOTE = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** How many records were written to the segment at this path; 0 when no note of it can be read. */
export function notedRecords(path: string): number {
  try {
    return Number(readFileNow(`${path}-records`)) || 0;
  } catch {
    return 0;
  }
}

export class Segment {
  readonly network: string;
  readonly number: number;
  readonly path: string;
  /** When its first record came; others are told relative to it. */
  readonly baseMs: number;
  /** Of its first and last record; the last is below the first while it is empty. */
  first: number;
  last: number;
  lastMs: number;
  records: number;
  bytes = 0;
  /** It is open for new records. */
  writing: boolean = false;
  readonly #interner: ShapeInterner;
  #database: DatabaseSync | undefined;
  #statements = new Map<string, StatementSync>();
  #shapes: SegmentShapes | undefined;
  #gone: boolean = false;

  private constructor({ network, number, path }: SegmentFile, database: DatabaseSync, interner: ShapeInterner) {
    this.network = network;
    this.path = path;
    this.number = number;
    this.#database = database;
    this.#interner = interner;
    this.baseMs = this.#number('SELECT base_ms FROM segment');
    this.first = this.#number('SELECT min(cursor) FROM flows') || 1;
    this.last = this.#number('SELECT max(cursor) FROM flows');
    this.lastMs = this.baseMs + this.#number(`SELECT at FROM flows WHERE cursor = ${this.last}`);
    this.records = this.#number('SELECT sum(records) FROM shapes');
    this.measure();
  }

  /** A new and empty one, to be written. */
  static create(file: SegmentFile, baseMs: number, interner: ShapeInterner): Segment {
    const { path } = file;
    // SQLite gives its side files the mode of the database, so making it 0600 first covers all.
    closeSync(openSync(path, 'wx', 0o600));
    const database = new DatabaseSync(path);
    try {
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
      createTables(database, baseMs);
      return new Segment(file, database, interner);
    } catch (error) {
      database.close();
      // Nothing was in it, and a disk that is full has no room for empty files.
      rmSync(path, { force: true });
      throw error;
    }
  }

  /** Throws when it is damaged, or no segment, or of a newer version. */
  static open(file: SegmentFile, interner: ShapeInterner): Segment {
    checkSegment(file.path);
    const database = openDatabase(file.path);
    try {
      return new Segment(file, database, interner);
    } catch (error) {
      database.close();
      throw error;
    }
  }

  get isOpen(): boolean {
    return this.#database !== undefined;
  }

  /** Removed, or set aside: a query that walks the segments passes over it. */
  get gone(): boolean {
    return this.#gone;
  }

  /** Whether a record with this cursor may be here. */
  holds(cursor: number): boolean {
    return this.records > 0 && cursor >= this.first && cursor <= this.last;
  }

  get database(): DatabaseSync {
    if (this.#gone) throw new Error(`${this.path} was removed`);
    this.#database ??= openDatabase(this.path);
    return this.#database;
  }

  /** Rows come as arrays. */
  statement(sql: string): StatementSync {
    return entryOf(this.#statements, sql, () => {
      const statement = this.database.prepare(sql);
      statement.setReturnArrays(true);
      return statement;
    });
  }

  get loadedShapes(): SegmentShapes | undefined {
    return this.#shapes;
  }

  shapes(): SegmentShapes {
    if (this.#shapes !== undefined) return this.#shapes;
    const loaded: SegmentShapes = { shapes: [], counts: [], groups: [] };
    const rows = this.statement('SELECT id, grp, records, digest FROM shapes ORDER BY id').iterate();
    const whole = this.statement(`SELECT ${SHARED_COLUMNS} FROM shapes WHERE id = ?`);
    for (const [id, group, records, digest] of rows as Iterable<unknown> as Iterable<
      [number, number, number, string]
    >) {
      const known = this.#interner.find(digest);
      const read = known ?? shapeOfRow(this.network, whole.get(id) as unknown as (number | string)[]);
      loaded.shapes.push(this.#interner.intern(digest, read));
      loaded.counts.push(records);
      loaded.groups.push(group);
    }
    this.#shapes = loaded;
    return loaded;
  }

  /** One that was just written. */
  addShape(shape: FlowShape, digest: string, group: number): void {
    const { shapes, counts, groups } = this.shapes();
    shapes.push(this.#interner.intern(digest, shape));
    counts.push(0);
    groups.push(group);
  }

  /** What is in memory may differ from what is on disk, or is too much. */
  forgetShapes(): void {
    this.#shapes = undefined;
  }

  /** Beside the file, since what is cut from a log of SQLite's leaves a sound and shorter one. After what was written. */
  noteRecords(): void {
    try {
      const note = openSync(`${this.path}-records`, NOTE, 0o600);
      try {
        writeSync(note, String(this.records));
      } finally {
        closeSync(note);
      }
    } catch {
      // Of less than there is nothing is told.
    }
  }

  /** How many were written, by that note; 0 when there is none. */
  get notedRecords(): number {
    return notedRecords(this.path);
  }

  measure(): void {
    this.bytes = sizeOf(this.path) + sizeOf(`${this.path}-wal`);
  }

  /** It will get no more new records: what helps to write is given back, and it becomes one file. */
  seal(): void {
    this.#statements.clear();
    this.database.exec(`PRAGMA journal_mode = DELETE; PRAGMA cache_size = -${READING_CACHE}; PRAGMA shrink_memory`);
    this.writing = false;
    this.measure();
  }

  /** It may be written on after it was closed, or after a restart. */
  unseal(): void {
    if (this.writing) return;
    this.#statements.clear();
    this.database.exec('PRAGMA journal_mode = WAL');
    this.writing = true;
  }

  /** Kibibytes of pages held in memory, until it is sealed or closed. */
  holdPages(kibibytes: number): void {
    this.database.exec(`PRAGMA cache_size = -${kibibytes}`);
  }

  /** It is opened again when it is asked for. */
  close(): void {
    this.#statements.clear();
    this.#database?.close();
    this.#database = undefined;
    this.writing = false;
  }

  /** For good. */
  abandon(): void {
    this.#gone = true;
    this.#shapes = undefined;
    try {
      this.close();
    } catch {
      // A damaged one need not close well.
      this.#database = undefined;
    }
  }

  #number(sql: string): number {
    const [value] = (this.statement(sql).get() ?? []) as unknown as (number | null)[];
    return value ?? 0;
  }
}

/** node:sqlite's types know rows as objects only. */
export function rowsOf(rows: Iterable<unknown>): Iterable<readonly (number | string | null)[]> {
  return rows as Iterable<readonly (number | string | null)[]>;
}

function openDatabase(path: string): DatabaseSync {
  // SQLite would make an empty one.
  if (isAbsent(path)) throw new SegmentDamagedError('the file is gone');
  const database = new DatabaseSync(path);
  try {
    database.exec(`PRAGMA synchronous = NORMAL; PRAGMA cache_size = -${READING_CACHE}`);
    upgradeTables(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Fields of which a newer version may know more words. */
const WORDS: ReadonlyMap<string, ReadonlySet<string | number>> = new Map([
  ['outcome', new Set<string>(FLOW_OUTCOMES)],
  ['protocol', new Set<string>(REPORTED_PROTOCOLS)],
]);

function shapeOfRow(network: string, row: readonly (number | string)[]): FlowShape {
  return sharedFrom(network, (name) => {
    const word = row[SHARED_FLOW_FIELDS.indexOf(name)] ?? '';
    // A newer version may have kept a word that came later, in a file that is as this one writes it.
    return WORDS.get(name)?.has(word) === false ? 'other' : word;
  });
}
