/** One agent a directory: two would answer control with one key, and fight over one state. */
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { AgentError } from './errors.ts';

export interface DirectoryLock {
  release(): void;
}

/**
 * Makes the directory (mode 0700) and locks it. The lock is SQLite's on an empty database, which is the one file lock that
 * Node offers: the system drops it with the process, so nothing stale is ever left, and it holds across containers that
 * share the directory, which a process id in a file does not. Throws AgentError.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new AgentError('state-unusable', `cannot make ${directory}: ${reason}; choose another with --data`, {
      cause,
    });
  }
  let database: DatabaseSync | undefined;
  try {
    // SQLite would make it readable for all; it holds nothing, but every file here is for its owner only.
    await (await open(join(directory, 'agent.lock'), 'a', 0o600)).close();
    database = new DatabaseSync(join(directory, 'agent.lock'), { timeout: 0 });
    // Nothing is ever written, so no journal need lie beside it.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (cause) {
    database?.close();
    if ((cause as { errcode?: number }).errcode === SQLITE_BUSY) {
      throw new AgentError(
        'already-running',
        `another agent runs in ${directory}; stop it, or give this one a directory of its own with --data`,
        { cause },
      );
    }
    const reason = (cause as Error).message;
    throw new AgentError('state-unusable', `cannot lock ${directory}: ${reason}; choose another with --data`, {
      cause,
    });
  }
  const held = database;
  return { release: () => held.close() };
}

const SQLITE_BUSY = 5;
