/** The directory that control keeps its data in. */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '@weft/proto';
import { DirectoryError } from './errors.ts';

/** Makes the directory for its owner alone; one that is there is refused when anyone may write to it. */
export function prepareDirectory(directory: string, uid: number): void {
  try {
    makeDirectory(directory);
    const { mode, uid: owner } = statSync(directory);
    if (owner !== uid && uid !== 0) throw new Error('it belongs to another user');
    if ((mode & 0o002) !== 0) throw new Error('everyone may write to it; run chmod o-w on it');
  } catch (error) {
    const why = messageOf(error);
    throw new DirectoryError(
      `cannot use ${directory} for control's data: ${why}; choose another directory with --data`,
      error,
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
