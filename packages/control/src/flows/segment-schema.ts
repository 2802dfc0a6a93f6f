/** The tables of one segment. A segment lives a day at most, so a file of another version is not migrated. */
import type { DatabaseSync } from 'node:sqlite';
import { FLOW_FIELDS, SHARED_FLOW_FIELDS, type SharedFlowField } from '@weft/proto';
import { SegmentDamagedError } from './errors.ts';

const VERSION = 2;
/** Marks the file as a segment, in SQLite's header ("WefF"). */
const APPLICATION_ID = 0x57656646;

/** How a column is declared that was not there when a segment was begun: its older records have nothing in it. */
const columnOf = (name: SharedFlowField): string =>
  FLOW_FIELDS[name].sort === 'number' ? `${name} INTEGER NOT NULL DEFAULT 0` : `${name} TEXT NOT NULL DEFAULT ''`;

/** What records share, by the names of the model. */
export const SHARED_COLUMNS = SHARED_FLOW_FIELDS.join(', ');

/**
 * `shapes`: what records share, how many there are, and the digest it is known by in memory. `groups`: what minutes are summed by; source and service are NULL in
 * the sums of a whole network. `details.lowered`: what is
 * searched without case, where it differs. `flows`: one row a record; times are relative, so that they take two or three bytes. The
 * identifier's first half is indexed: that is enough to find it, and half as large.
 */
const TABLES = `
  CREATE TABLE segment (base_ms INTEGER NOT NULL);
  CREATE TABLE shapes (
    id INTEGER PRIMARY KEY, grp INTEGER NOT NULL, records INTEGER NOT NULL,
    digest TEXT NOT NULL, ${SHARED_FLOW_FIELDS.map(columnOf).join(', ')}
  );
  CREATE TABLE details (id INTEGER PRIMARY KEY, words TEXT NOT NULL, lowered TEXT);
  CREATE TABLE groups (id INTEGER PRIMARY KEY, source TEXT, service TEXT, sort INTEGER NOT NULL);
  CREATE TABLE minutes (
    grp INTEGER NOT NULL, minute INTEGER NOT NULL, flows INTEGER NOT NULL, sent REAL NOT NULL, received REAL NOT NULL,
    PRIMARY KEY (grp, minute)
  ) WITHOUT ROWID;
  CREATE TABLE flows (
    cursor INTEGER PRIMARY KEY, shape INTEGER NOT NULL, at INTEGER NOT NULL, before INTEGER NOT NULL, duration INTEGER NOT NULL,
    id_high INTEGER NOT NULL, id_low INTEGER NOT NULL, revision INTEGER NOT NULL, sent INTEGER NOT NULL,
    received INTEGER NOT NULL, detail INTEGER
  );
  CREATE INDEX flows_by_shape ON flows (shape, cursor);
  CREATE INDEX flows_by_id ON flows (id_high);
  CREATE INDEX flows_by_detail ON flows (detail) WHERE detail IS NOT NULL;
`;

/** Makes the tables in a new file. */
export function createTables(database: DatabaseSync, baseMs: number): void {
  database.exec(`BEGIN; ${TABLES} PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${VERSION}`);
  database.prepare('INSERT INTO segment VALUES (?)').run(baseMs);
  database.exec('COMMIT');
}

/** Adds columns that are new since the segment was begun. Throws SegmentDamagedError when the file is no segment of this version. */
export function checkTables(database: DatabaseSync): void {
  const of = (name: string): unknown => Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0];
  if (of('application_id') !== APPLICATION_ID) throw new SegmentDamagedError('not a segment of flows');
  if (of('user_version') !== VERSION)
    throw new SegmentDamagedError(`of version ${String(of('user_version'))}; expected ${VERSION}`);
  const known = database.prepare('PRAGMA table_info(shapes)').all();
  for (const name of SHARED_FLOW_FIELDS) {
    if (!known.some((column) => column.name === name)) database.exec(`ALTER TABLE shapes ADD COLUMN ${columnOf(name)}`);
  }
}
