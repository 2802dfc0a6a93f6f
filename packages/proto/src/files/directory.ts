/** The directory that a program keeps its state in. */
import { existsSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '../model/errors.ts';
import { isSystemError, systemErrorWords } from '../node/system-error.ts';
import { FileError } from './errors.ts';

/**
 * Makes the directory for its owner alone (mode 0700). One that is there is refused when it belongs to another user, or when others may
 * write to it: whoever can, has the keys in it. Who may put another in its place is left to the host, for volumes of containers are
 * open to everyone. Throws FileError.
 */
export function prepareDirectory(directory: string, uid: number): void {
  try {
    makeDirectory(directory);
    const real = realpathSync(directory);
    const found = statSync(real);
    if (!found.isDirectory()) throw new Error('it is no directory');
    // Also to root, who could use it: its owner can replace every file in it.
    if (found.uid !== uid)
      throw new Error(
        `it belongs to another user, ${found.uid} (run this as that one; or, if that one is to have it no more, as root: chown -R ${uid} ${real})`,
      );
    if ((found.mode & 0o022) !== 0) throw new Error(`others may write to it (run: chmod go-w ${real})`);
  } catch (error) {
    const why = isSystemError(error) ? systemErrorWords(error) : messageOf(error);
    throw new FileError('unusable', `cannot use ${directory}: ${why}; choose another directory with --data`, {
      cause: error,
    });
  }
}

/** Parents first. Node's own recursive mkdir never returns where a file system refuses with ENOENT, as /proc does. */
function makeDirectory(directory: string): void {
  if (existsSync(directory)) return;
  const parent = dirname(directory);
  if (parent !== directory) makeDirectory(parent);
  mkdirSync(directory, { mode: 0o700 });
}
