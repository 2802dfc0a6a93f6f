/** Keeps a second control out of a data directory. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { messageOf } from '@weft/proto';
import { StoreError } from './errors.ts';

/**
 * Holds the directory until `release`. The lock is SQLite's own on an empty file: the kernel drops it when the process
 * ends, however it ends, so there is no stale lock to clean up after a kill. It is not the database itself that is locked,
 * so that a backup can be taken while control runs.
 */
export class DirectoryLock {
  readonly #database: DatabaseSync;

  constructor(directory: string) {
    const path = join(directory, 'control.lock');
    try {
      this.#database = new DatabaseSync(path);
    } catch (error) {
      throw new StoreError(
        'unreadable',
        `cannot open ${path}: ${messageOf(error)}; check the directory's owner and mode`,
        error,
      );
    }
    try {
      this.#database.exec('PRAGMA journal_mode = MEMORY; PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
    } catch (error) {
      this.#database.close();
      if (/locked|busy/i.test(messageOf(error))) {
        throw new StoreError(
          'in-use',
          `another weft-control is running in ${directory}; stop it first, or choose another directory with --data`,
          error,
        );
      }
      throw new StoreError(
        'unreadable',
        `cannot lock ${path}: ${messageOf(error)}; remove the file if it is not control's`,
        error,
      );
    }
  }

  release(): void {
    this.#database.close();
  }
}
