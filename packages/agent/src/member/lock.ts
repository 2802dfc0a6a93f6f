/** One agent a directory: two would answer control with one key, and fight over one state. */
import {
  type DirectoryLock,
  FileError,
  lockDirectory,
  lookAtSecrets,
  prepareDirectory,
  removeHalfWritten,
} from '@weft/proto/files';
import type { Logger } from 'pino';
import { AgentError } from './errors.ts';

/** What an agent writes into its directory. */
const FILES = ['identity.json', 'netmap.json', 'wildcards.json', 'guard.json'];

/** Of those, what holds keys: this host's own, or those that it shares with its peers. */
export const isSecret = (name: string): boolean => name === 'identity.json' || name === 'netmap.json';

/**
 * Makes the directory (mode 0700) when it is not there, locks it, clears away what was half written, and tells who else can come by
 * the keys. Throws AgentError.
 */
export function takeDirectory(directory: string, logger: Pick<Logger, 'warn'>): DirectoryLock {
  const uid = process.getuid?.() ?? -1;
  let lock: DirectoryLock | undefined;
  try {
    prepareDirectory(directory, uid);
    lock = lockDirectory(directory, 'agent', 'agent');
    removeHalfWritten(directory, FILES);
    lookAtSecrets({ directory, isSecret, uid, logger });
    return lock;
  } catch (cause) {
    lock?.release();
    if (!(cause instanceof FileError)) throw cause;
    throw new AgentError(cause.code === 'in-use' ? 'already-running' : 'state-unusable', cause.message, { cause });
  }
}
