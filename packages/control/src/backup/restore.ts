/** A backup put back: all of it or nothing, and never over a control that is there, unless that is asked for. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '@weft/proto';
import { lockDirectory, prepareDirectory, syncNow } from '@weft/proto/files';
import { StoreError } from '../store/errors.ts';
import { refuseOthers } from '../store/upgrade.ts';
import { DATABASE, type Header, isControls, KEY } from './contents.ts';
import { BackupError } from './errors.ts';
import { unpack } from './read.ts';

export interface RestoreOptions {
  /** Control's own; made when it is not there. */
  readonly directory: string;
  readonly file: string;
  /** A control that is there already is moved aside. */
  readonly replace: boolean;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

export interface Restored extends Header {
  /** Where the control went that was there; undefined when none was. */
  readonly movedTo: string | undefined;
}

/**
 * Makes the directory what control was when the backup was made. Throws BackupError, FileError (also while a control runs there),
 * StoreError for data of another version.
 */
export function restore({ directory, file, replace, now }: RestoreOptions): Restored {
  prepareDirectory(directory, process.getuid?.() ?? -1);
  const lock = lockDirectory(directory, 'control', 'weft-control');
  let aside: string | undefined;
  try {
    const there = readdirSync(directory).filter(isControls);
    if (there.length > 0 && !replace) {
      throw new BackupError(
        'occupied',
        `${directory} holds a control already (${there[0]}), which is left as it is. Choose another directory with --data; or add ` +
          '--replace, which moves it aside within the directory',
      );
    }
    // Left by a restore that was killed; the lock says that none runs.
    for (const name of readdirSync(directory)) {
      if (name.startsWith(ASIDE)) rmSync(join(directory, name), { recursive: true, force: true });
    }
    aside = mkdtempSync(join(directory, ASIDE));
    const header = unpack(file, aside);
    refuseDatabase(file, join(aside, DATABASE), header);
    const movedTo = there.length === 0 ? undefined : moveAside(directory, there, now());
    install(aside, directory, header);
    return { ...header, movedTo };
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    throw new BackupError('unwritable', `cannot restore into ${directory}: ${messageOf(error)}`, { cause: error });
  } finally {
    if (aside !== undefined) rmSync(aside, { recursive: true, force: true });
    lock.release();
  }
}

const ASIDE = 'restore-half-';

/** What this version could not start with is refused before anything is touched. */
function refuseDatabase(file: string, path: string, { writtenBy }: Header): void {
  try {
    refuseOthers(path);
  } catch (error) {
    const which = { 'too-new': 'newer', 'too-old': 'older' } as const;
    const code = error instanceof StoreError ? error.code : undefined;
    const than = code === 'too-new' || code === 'too-old' ? which[code] : undefined;
    if (than === undefined) throw new BackupError('damaged', `${file} holds no data of control`, { cause: error });
    throw new BackupError(
      'too-new',
      `${file} was made by weft-control ${writtenBy}, which is too much ${than} than this one; restore it with that version`,
      { cause: error },
    );
  }
}

/** The key first: without it nothing of the rest starts, wherever this is stopped. */
function moveAside(directory: string, there: readonly string[], nowMs: number): string {
  const to = join(directory, `replaced-${new Date(nowMs).toISOString().replaceAll(/[:.]/g, '-')}`);
  mkdirSync(to, { mode: 0o700 });
  for (const name of [KEY, ...there]) {
    const path = join(directory, name);
    if (existsSync(path)) renameSync(path, join(to, name));
    if (name === KEY) syncNow(directory);
  }
  syncNow(to);
  syncNow(directory);
  return to;
}

/** The key last: a restore that ends before it leaves what control refuses to start with. */
function install(from: string, directory: string, { files }: Header): void {
  const names = files.map(({ name }) => name).filter((name) => name !== KEY);
  for (const name of names) renameSync(join(from, name), join(directory, name));
  syncNow(directory);
  renameSync(join(from, KEY), join(directory, KEY));
  syncNow(directory);
}
