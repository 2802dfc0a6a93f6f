/** One agent a directory: two would answer control with one key, and fight over one state. */
import { type DirectoryLock, FileError, lockDirectory, prepareDirectory, removeHalfWritten } from '@weft/proto/files';
import { AgentError } from './errors.ts';

/** What an agent writes into its directory. */
const FILES = ['identity.json', 'netmap.json', 'wildcards.json', 'guard.json'];

/** Makes the directory (mode 0700) when it is not there, locks it and clears away what was half written. Throws AgentError. */
export function takeDirectory(directory: string): DirectoryLock {
  try {
    prepareDirectory(directory, process.getuid?.() ?? -1);
    const lock = lockDirectory(directory, 'agent', 'agent');
    removeHalfWritten(directory, FILES);
    return lock;
  } catch (cause) {
    if (!(cause instanceof FileError)) throw cause;
    throw new AgentError(cause.code === 'in-use' ? 'already-running' : 'state-unusable', cause.message, { cause });
  }
}
