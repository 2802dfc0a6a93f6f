/** The tables of one segment. Control may go to a newer version and back within the day that a segment lives. */
import type { DatabaseSync } from 'node:sqlite';
import { FLOW_FIELDS, SHARED_FLOW_FIELDS, type SharedFlowField, VERSION } from '@weft/proto';
import { newestOf, peek, type Schema, stepForward } from '../store/schema-steps.ts';
import { SegmentDamagedError, SegmentNewerError } from './errors.ts';

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

const SEGMENT: Schema = {
  // "WefF".
  applicationId: 0x57656646,
  base: 2,
  tables: TABLES,
  steps: [],
};

/** Throws SegmentNewerError, and leaves the file as it is; or SegmentDamagedError when it is no segment that is known. */
export function checkSegment(path: string): void {
  const found = peek(path);
  const newest = newestOf(SEGMENT);
  if (found?.applicationId !== SEGMENT.applicationId) throw new SegmentDamagedError('not a segment of flows');
  if (found.needed > newest) {
    const by = found.writtenBy === '' ? '' : ` ${found.writtenBy}`;
    throw new SegmentNewerError(
      `a newer weft-control${by} wrote it (schema ${found.needed}; this one knows ${newest}); start that version again to read it`,
    );
  }
  if (found.needed < SEGMENT.base)
    throw new SegmentDamagedError(`of schema ${found.needed}; expected ${SEGMENT.base} or later`);
}

/** Makes the tables in a new file. */
export function createTables(database: DatabaseSync, baseMs: number): void {
  const tables = `${TABLES} INSERT INTO segment VALUES (${Math.trunc(baseMs)});`;
  stepForward(database, { ...SEGMENT, tables }, VERSION, () => undefined);
}

/** Takes a segment of an older version to the newest schema. */
export function upgradeTables(database: DatabaseSync): void {
  stepForward(database, SEGMENT, VERSION, () => undefined);
  const known = database.prepare('PRAGMA table_info(shapes)').all();
  for (const name of SHARED_FLOW_FIELDS) {
    if (!known.some((column) => column.name === name)) database.exec(`ALTER TABLE shapes ADD COLUMN ${columnOf(name)}`);
  }
}
