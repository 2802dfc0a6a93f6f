/** The directory that a program keeps its state in. */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '../model/errors.ts';
import { FileError } from './errors.ts';

/**
 * Makes the directory for its owner alone (mode 0700); one that is there is refused when it belongs to another than `uid`,
 * root excepted, or when anyone may write to it. Throws FileError.
 */
export function prepareDirectory(directory: string, uid: number): void {
  try {
    makeDirectory(directory);
    const found = statSync(directory);
    if (!found.isDirectory()) throw new Error('it is no directory');
    if (found.uid !== uid && uid !== 0) throw new Error('it belongs to another user');
    if ((found.mode & 0o002) !== 0) throw new Error('everyone may write to it; run chmod o-w on it');
  } catch (error) {
    throw new FileError(
      'unusable',
      `cannot use ${directory}: ${messageOf(error)}; choose another directory with --data`,
      { cause: error },
    );
  }
}

/** Parents first. Node's own recursive mkdir never returns where a file system refuses with ENOENT, as /proc does. */
function makeDirectory(directory: string): void {
  if (existsSync(directory)) return;
  const parent = dirname(directory);
  if (parent !== directory) makeDirectory(parent);
  mkdirSync(directory, { mode: 0o700 });
}
