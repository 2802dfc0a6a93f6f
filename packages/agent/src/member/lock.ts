/** One agent a directory: two would answer control with one key, and fight over one state. */
import { type DirectoryLock, FileError, lockDirectory, prepareDirectory } from '@weft/proto/files';
import { AgentError } from './errors.ts';

/** Makes the directory (mode 0700) when it is not there, and locks it. Throws AgentError. */
export function takeDirectory(directory: string): DirectoryLock {
  try {
    prepareDirectory(directory, process.getuid?.() ?? -1);
    return lockDirectory(directory, 'agent', 'agent');
  } catch (cause) {
    if (!(cause instanceof FileError)) throw cause;
    throw new AgentError(cause.code === 'in-use' ? 'already-running' : 'state-unusable', cause.message, { cause });
  }
}
