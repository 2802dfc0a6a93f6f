/** Control's database at a start: one of another sort or a newer version is refused, one of an older version steps forward. */

import { closeSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { VERSION } from '@weft/proto';
import { syncNow } from '@weft/proto/files';
import { StoreError } from './errors.ts';
import { SCHEMA } from './schema.ts';
import { newestOf, peek, type Schema, stepForward } from './schema-steps.ts';

/** Milliseconds that a write waits for whoever else has the file. */
export const BUSY_MS = 2_000;

/** Throws StoreError for a file that is not this version's to work with. It stays as it is, to the byte. */
export function refuseOthers(path: string, schema: Schema = SCHEMA): void {
  const found = peek(path);
  if (found === undefined || (found.needed === 0 && found.tables === 0)) return;
  if (found.applicationId !== schema.applicationId) {
    throw new StoreError('not-weft', `${path} is a database of another program; choose another directory with --data`);
  }
  const newest = newestOf(schema);
  if (found.needed > newest) {
    const by = found.writtenBy === '' ? '' : ` ${found.writtenBy}`;
    const copy = copyFor(path, newest);
    throw new StoreError(
      'too-new',
      `${path} was written by a newer weft-control${by} (schema ${found.needed}; this one knows ${newest}) and is left as it is. ` +
        `Start that version again; or put ${copy ?? 'a backup of before it'} in its place, without what was changed since`,
    );
  }
  if (found.needed < schema.base) {
    throw new StoreError(
      'too-old',
      `${path} was written by a weft-control that is too old for this one (schema ${found.needed}; this one steps forward from ` +
        `${schema.base}) and is left as it is. Start a version between the two first`,
    );
  }
}

/** Brings it to the newest schema, and looks that it is sound. Throws StoreError, or what SQLite does. */
export function upgrade(database: DatabaseSync, path: string, schema: Schema = SCHEMA): void {
  // FULL: in WAL mode NORMAL would let a power cut take back a change that was answered.
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = ${BUSY_MS}`);
  const [check] = database.prepare('PRAGMA quick_check(1)').all() as { quick_check: string }[];
  if (check?.quick_check !== 'ok') {
    throw new StoreError(
      'corrupt',
      `${path} is damaged (${check?.quick_check ?? 'no answer'}); restore it from a backup`,
    );
  }
  stepForward(database, schema, VERSION, (newest) => keepCopy(database, nameOfCopy(path, newest)));
}

/** As it was before the step to this schema. */
const nameOfCopy = (path: string, schema: number) => `${path}.before-${schema}`;

/** The copy to go back to for who knows no more than this schema. */
function copyFor(path: string, newest: number): string | undefined {
  const start = nameOfCopy(basename(path), 0).slice(0, -1);
  const steps = readdirSync(dirname(path))
    .filter((name) => name.startsWith(start))
    .map((name) => Number(name.slice(start.length)))
    .filter((step) => step > newest);
  return steps.length === 0 ? undefined : join(dirname(path), `${start}${Math.min(...steps)}`);
}

/** Whole or not there, for the owner alone, and on the disk when this returns. */
function keepCopy(database: DatabaseSync, copy: string): void {
  const half = `${copy}.half`;
  // Nothing that somebody put there is written through, or waited for.
  rmSync(half, { force: true });
  closeSync(openSync(half, 'wx', 0o600));
  database.prepare('VACUUM INTO ?').run(half);
  syncNow(half);
  renameSync(half, copy);
  syncNow(dirname(copy));
}
