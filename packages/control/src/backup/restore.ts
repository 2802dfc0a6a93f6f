/** A backup put back: all of it or nothing, and never over a control that is there, unless that is asked for. */
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '@weft/proto';
import { lockDirectory, prepareDirectory, syncNow, whoElseWrites } from '@weft/proto/files';
import { StoreError } from '../store/errors.ts';
import { refuseOthers } from '../store/upgrade.ts';
import { DATABASE, type Header, isControls, KEY, ownerOf } from './contents.ts';
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
  /** Who else could read the backup, or have written it, and what to do; undefined for nobody. */
  readonly exposed: string | undefined;
}

/**
 * Makes the directory what control was when the backup was made. Throws BackupError, FileError (also while a control runs there),
 * StoreError for data of another version.
 */
export function restore({ directory, file, replace, now }: RestoreOptions): Restored {
  prepareDirectory(directory, ownerOf(directory));
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
    giveTo(directory, aside, header);
    const movedTo = there.length === 0 ? undefined : join(directory, `replaced-${stamp(now())}`);
    if (movedTo !== undefined) moveAside(directory, there, movedTo);
    try {
      install(aside, directory, header);
    } catch (error) {
      for (const { name } of header.files) rmSync(join(directory, name), { force: true });
      if (movedTo !== undefined) moveBack(movedTo, directory, there);
      throw error;
    }
    return { ...header, movedTo, exposed: exposureOf(file, statSync(directory).uid) };
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    throw new BackupError(
      'unwritable',
      `cannot restore into ${directory}: ${messageOf(error)}; what was there is there as before`,
      { cause: error },
    );
  } finally {
    if (aside !== undefined) rmSync(aside, { recursive: true, force: true });
    lock.release();
  }
}

function exposureOf(file: string, uid: number): string | undefined {
  const found = statSync(file);
  const who = whoElseWrites(found, uid);
  if (who !== undefined)
    return `${who}, who may have put keys of their own there: if they are not trusted, remove what was restored, and restore another`;
  return (found.mode & 0o077) === 0
    ? undefined
    : 'others may read it: run chmod go= on it, and replace the keys if they are not trusted';
}

const ASIDE = 'restore-half-';
const LOCK = 'control.lock';

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

const stamp = (ms: number): string => new Date(ms).toISOString().replaceAll(/[:.]/g, '-');

/** What root restores belongs to the directory's owner, who is to start control with it. */
function giveTo(directory: string, aside: string, { files }: Header): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(directory);
  for (const { name } of files) chownSync(join(aside, name), uid, gid);
  chownSync(join(directory, LOCK), uid, gid);
}

/** The key first: without it nothing of the rest starts, wherever this is stopped. What cannot be moved brings all of it back. */
function moveAside(directory: string, there: readonly string[], to: string): void {
  mkdirSync(to, { mode: 0o700 });
  try {
    for (const name of [KEY, ...there]) {
      const path = join(directory, name);
      if (existsSync(path)) renameSync(path, join(to, name));
      if (name === KEY) syncNow(directory);
    }
    syncNow(to);
    syncNow(directory);
  } catch (error) {
    moveBack(to, directory, there);
    throw error;
  }
}

/** The key last, as ever. */
function moveBack(from: string, directory: string, there: readonly string[]): void {
  for (const name of [...there.filter((each) => each !== KEY), KEY])
    if (existsSync(join(from, name))) renameSync(join(from, name), join(directory, name));
  rmdirSync(from);
  syncNow(directory);
}

/** The key last: a restore that ends before it leaves what control refuses to start with. */
function install(from: string, directory: string, { files }: Header): void {
  const names = files.map(({ name }) => name).filter((name) => name !== KEY);
  for (const name of names) renameSync(join(from, name), join(directory, name));
  syncNow(directory);
  renameSync(join(from, KEY), join(directory, KEY));
  syncNow(directory);
}
