/** Where control keeps its data. */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DirectoryError } from './errors.ts';

export interface HomeSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  readonly home: string;
}

/** /var/lib/weft-control for root, else $XDG_STATE_HOME/weft-control or ~/.local/state/weft-control. */
export function defaultDirectory({ env, uid, home }: HomeSources): string {
  if (uid === 0) return '/var/lib/weft-control';
  return join(env.XDG_STATE_HOME || join(home, '.local', 'state'), 'weft-control');
}

/** Makes the directory for its owner alone; one that is there is refused when anyone may write to it. */
export function prepareDirectory(directory: string, uid: number): void {
  try {
    makeDirectory(directory);
    const { mode, uid: owner } = statSync(directory);
    if (owner !== uid && uid !== 0) throw new Error('it belongs to another user');
    if ((mode & 0o002) !== 0) throw new Error('everyone may write to it; run chmod o-w on it');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
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
