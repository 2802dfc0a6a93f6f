/** How a database steps forward from the schema of an older version, with its data; and what is seen of one before it is touched. */
import { existsSync, statSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { DatabaseSync } from '@weft/proto/files';

/** From one schema to the next. One that was released is never edited. */
export interface Step {
  readonly sql: string;
  /** It only adds what has a default, so that a version from before it works with the file too. */
  readonly adds: boolean;
}

export interface Schema {
  /** Marks the file as of this sort, in SQLite's header. */
  readonly applicationId: number;
  /** Number of the oldest schema that is stepped forward. */
  readonly base: number;
  /** Makes the tables of `base`. */
  readonly tables: string;
  /** The first leads from `base` to the next number. */
  readonly steps: readonly Step[];
}

export const newestOf = ({ base, steps }: Schema): number => base + steps.length;

/** The schema that a program has to know to work with such tables, whatever stands in them. */
export function neededByTables({ base, steps }: Schema): number {
  return steps.reduce((before, { adds }, at) => (adds ? before : base + at + 1), base);
}

/** What a file says of itself. */
export interface Found {
  readonly applicationId: number;
  /** The schema that a program has to know to work with it, for its tables or for what stands in them; 0 for none. */
  readonly needed: number;
  /** The schema that it was brought to, of which an older program need not know the newest part. */
  readonly number: number;
  /** The version that made its tables, or stepped it forward last; empty when it is not told. */
  readonly writtenBy: string;
  readonly tables: number;
}

/** Reads what a file says of itself and leaves it as it is, to the byte. Undefined where nothing is. */
export function peek(path: string): Found | undefined {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0 && !existsSync(`${path}-wal`)) return undefined;
  const url = pathToFileURL(path);
  // Without a log beside it there is nothing to look for, and SQLite need not make one.
  if (!existsSync(`${path}-wal`)) url.search = '?immutable=1';
  const database = new DatabaseSync(url, { readOnly: true });
  try {
    return look(database);
  } finally {
    database.close();
  }
}

function look(database: DatabaseSync): Found {
  const one = (sql: string): unknown => Object.values(database.prepare(sql).get() ?? {})[0];
  const needed = Number(one('PRAGMA user_version'));
  const tables = Number(one('SELECT count(*) FROM sqlite_schema'));
  const told = one("SELECT count(*) FROM sqlite_schema WHERE name = 'written'") === 1;
  return {
    applicationId: Number(one('PRAGMA application_id')),
    needed,
    number: told ? Number(one('SELECT schema FROM written')) : needed,
    writtenBy: told ? String(one('SELECT version FROM written')) : '',
    tables,
  };
}

/**
 * Makes the tables in a new file; takes one of an older version to the newest schema. In one transaction: whatever ends the
 * program meanwhile, the file is of the old schema or of the new. `copy` is called before a step after which an older version
 * could not go back to the file. The caller has looked that it is no file of another sort and none that is too new.
 */
export function stepForward(
  database: DatabaseSync,
  schema: Schema,
  version: string,
  copy: (newest: number) => void,
): void {
  const { base, steps } = schema;
  const found = look(database);
  const fresh = found.needed === 0;
  const from = fresh ? base : found.number;
  const waiting = steps.slice(from - base);
  if (!fresh && waiting.length === 0) return;
  if (!fresh && waiting.some(({ adds }) => !adds)) copy(newestOf(schema));
  const needed = waiting.reduce((before, { adds }, at) => (adds ? before : from + at + 1), fresh ? base : found.needed);
  database.exec('BEGIN IMMEDIATE');
  try {
    if (fresh) database.exec(schema.tables);
    for (const { sql } of waiting) database.exec(sql);
    database.exec(`PRAGMA user_version = ${needed}; PRAGMA application_id = ${schema.applicationId}`);
    database.exec(
      'CREATE TABLE IF NOT EXISTS written (schema INTEGER NOT NULL, version TEXT NOT NULL); DELETE FROM written',
    );
    database.prepare('INSERT INTO written VALUES (?, ?)').run(from + waiting.length, version);
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}
