/** One program a directory: two would fight over one state. */
import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../model/errors.ts';
import { isAbsent } from '../node/system-error.ts';
import { FileError } from './errors.ts';
import { DatabaseSync } from './sqlite.ts';

export interface DirectoryLock {
  release(): void;
}

/**
 * Locks the directory for `program` until `release`, by `NAME.lock` in it. The lock is SQLite's on an empty database, the
 * one file lock that Node offers: the system drops it with the process, however that ends, so nothing stale is ever left,
 * and it holds across containers that share the directory, which a process id in a file does not. It is no database of the
 * program's that is locked, so that a backup can be taken while it runs. Throws FileError.
 */
export function lockDirectory(directory: string, name: string, program: string): DirectoryLock {
  const path = join(directory, `${name}.lock`);
  let database: DatabaseSync | undefined;
  try {
    // SQLite would make it readable for all, and follow a link; it holds nothing, but every file here is its owner's only.
    closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600));
    database = new DatabaseSync(path, { timeout: PROBE_MS });
    // Nothing is ever written, so no journal need lie beside it.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    database?.close();
    if (isBusy(error)) {
      throw new FileError(
        'in-use',
        `another ${program} is running in ${directory}; stop it first, or choose another directory with --data`,
        { cause: error },
      );
    }
    throw new FileError(
      'unusable',
      `cannot lock ${path}: ${messageOf(error)}; ${remedyOf(error, program)}, or choose another directory with --data`,
      { cause: error },
    );
  }
  const held = database;
  return { release: () => held.close() };
}

/**
 * Whether a program holds the lock now: `unknown` where there is one that cannot be looked at, such as by who may not read it. Nothing is
 * written for the answer, be the directory read-only.
 */
export function lockState(directory: string, name: string): 'held' | 'free' | 'unknown' {
  const path = join(directory, `${name}.lock`);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: 0 });
    database.exec('SELECT 1 FROM sqlite_schema');
    return 'free';
  } catch (error) {
    if (isBusy(error)) return 'held';
    return isAbsent(path) ? 'free' : 'unknown';
  } finally {
    database?.close();
  }
}

function remedyOf(error: unknown, program: string): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EROFS':
      return 'mount it so that it may be written to';
    case 'ENOSPC':
    case 'EDQUOT':
      return 'make room there';
    case 'ENFILE':
    case 'EMFILE':
      return 'let it open more files (ulimit -n)';
    default:
      return `remove the file if no ${program} made it`;
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}

const SQLITE_BUSY = 5;
/** Far longer than lockState looks, which must keep no program from starting. */
const PROBE_MS = 100;
