/** A backup of a control that may run meanwhile. */
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isSystemError, messageOf, systemErrorWords, VERSION } from '@weft/proto';
import {
  DatabaseSync,
  type DirectoryLock,
  lockDirectory,
  lockState,
  prepareDirectory,
  readFileNow,
  syncNow,
} from '@weft/proto/files';
import { StoreError } from '../store/errors.ts';
import { NEWEST_REVISION } from '../store/schema.ts';
import { refuseOthers } from '../store/upgrade.ts';
import { DATABASE, FORM, type Header, KEY, MAGIC, NEEDED, ownerOf, TEXTS } from './contents.ts';
import { BackupError } from './errors.ts';

/** What follows FILE in the name of the folder where a backup is made, before the letters of mkdtemp. */
const HALF = '.half-';
const RANDOM_LETTERS = 6;
const LOCK = 'backup';
const BEGINNING_MS = 60_000;

export interface BackupOptions {
  /** Control's own. */
  readonly directory: string;
  /** Where the backup goes, with mode 0600. One of before is replaced, and nothing else. */
  readonly file: string;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

/**
 * Writes all that control is into one file, whole or not at all. The database is copied in one read of it, which holds up no
 * write of control's. Throws BackupError, StoreError for data that is not this version's, FileError.
 */
export function backUp({ directory, file, now }: BackupOptions): Header {
  for (const name of NEEDED) requireThere(directory, join(directory, name));
  // What SQLite makes beside the database would otherwise be another user's, and control could not start with it.
  prepareDirectory(directory, ownerOf(directory));
  refuseOtherData(join(directory, DATABASE));
  let aside: string | undefined;
  let lock: DirectoryLock | undefined;
  try {
    refuseToReplace(file);
    removeLeftOvers(file, now());
    // Beside the file, so that a rename brings it there; for the owner alone from the first byte.
    aside = mkdtempSync(`${file}${HALF}`);
    lock = lockDirectory(aside, LOCK, 'weft-control backup');
    const copy = join(aside, DATABASE);
    const told = copyDatabase(join(directory, DATABASE), copy);
    const texts = new Map<string, Buffer>();
    for (const name of [...TEXTS, KEY]) {
      const text = readFileNow(join(directory, name));
      if (text !== undefined) texts.set(name, Buffer.from(text));
    }
    const files = [
      ...Array.from(texts, ([name, { length }]) => ({ name, size: length })),
      { name: DATABASE, size: statSync(copy).size },
    ];
    const header = { form: FORM, writtenBy: VERSION, madeMs: now(), ...told, files };
    const half = join(aside, 'backup');
    write(half, header, texts, copy);
    renameSync(half, file);
    syncNow(dirname(file));
    return header;
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    throw new BackupError('unwritable', `cannot write ${file}: ${messageOf(error)}; nothing was written there`, {
      cause: error,
    });
  } finally {
    lock?.release();
    if (aside !== undefined) rmSync(aside, { recursive: true, force: true });
  }
}

/** Backups that were killed left keys in their folders: nobody holds those any more. One that is under way is left alone. */
function removeLeftOvers(file: string, nowMs: number): void {
  const start = basename(file) + HALF;
  for (const name of readdirSync(dirname(file))) {
    const path = join(dirname(file), name);
    if (!name.startsWith(start) || name.length !== start.length + RANDOM_LETTERS) continue;
    const { uid, mtimeMs } = lstatSync(path);
    // It is locked a moment after it is made.
    const begins = !existsSync(join(path, `${LOCK}.lock`)) && nowMs - mtimeMs < BEGINNING_MS;
    const own = uid === process.geteuid?.();
    if (own && !begins && lockState(path, LOCK) === 'free') rmSync(path, { recursive: true, force: true });
  }
}

/** What this user may not look at is told from what is not there. */
function requireThere(directory: string, path: string): void {
  try {
    statSync(path);
  } catch (error) {
    const code = isSystemError(error) ? error.code : '';
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new BackupError(
        'no-control',
        `${directory} holds no control: ${path} is not there; say with --data where weft-control serve keeps its own`,
        { cause: error },
      );
    const why = isSystemError(error) ? systemErrorWords(error) : messageOf(error);
    const message = `cannot look into ${directory}: ${why}; run this as the user who runs control there, or as root`;
    throw new BackupError('unreadable', message, { cause: error });
  }
}

function refuseOtherData(path: string): void {
  try {
    refuseOthers(path);
  } catch (error) {
    throw error instanceof StoreError ? error : unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): BackupError {
  const message = `cannot copy ${path}: ${messageOf(error)}; nothing was written`;
  return new BackupError('unreadable', message, { cause: error });
}

/** A slip, such as control's own database for FILE, must cost nothing. */
function refuseToReplace(file: string): void {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (found.isFile() && startOf(file).equals(Buffer.from(MAGIC))) return;
  throw new BackupError('occupied', `${file} is there and is no backup of control; choose another name, or remove it`);
}

function startOf(file: string): Buffer {
  const start = Buffer.alloc(MAGIC.length);
  const from = openSync(file, 'r');
  try {
    return start.subarray(0, readSync(from, start));
  } finally {
    closeSync(from);
  }
}

/** As it is at this moment, with what control's log holds. A damaged one is found before a sound backup is replaced by it. */
function copyDatabase(path: string, copy: string): Pick<Header, 'revision' | 'networks'> {
  closeSync(openSync(copy, 'wx', 0o600));
  const database = new DatabaseSync(path, { readOnly: true, timeout: 10_000 });
  try {
    database.prepare('VACUUM INTO ?').run(copy);
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    database.close();
  }
  const copied = new DatabaseSync(copy, { readOnly: true });
  try {
    const sound = Object.values(copied.prepare('PRAGMA quick_check(1)').get() ?? {})[0];
    if (sound !== 'ok') throw new BackupError('damaged', `${path} is damaged (${sound}); nothing was written`);
    const told = copied.prepare(`SELECT ${NEWEST_REVISION} AS revision, (SELECT COUNT(*) FROM networks) AS networks`);
    const { revision, networks } = told.get() ?? {};
    return { revision: Number(revision), networks: Number(networks) };
  } finally {
    copied.close();
  }
}

function write(path: string, header: Header, texts: ReadonlyMap<string, Buffer>, copy: string): void {
  const sum = createHash('sha256');
  const out = openSync(path, 'wx', 0o600);
  const put = (bytes: Buffer): void => {
    sum.update(bytes);
    for (let at = 0; at < bytes.length; ) at += writeSync(out, bytes, at);
  };
  try {
    put(Buffer.from(`${MAGIC}${JSON.stringify(header)}\n`));
    for (const { name } of header.files) {
      const text = texts.get(name);
      if (text === undefined) eachPiece(copy, put);
      else put(text);
    }
    put(Buffer.from(`${sum.copy().digest('hex')}\n`));
    fsyncSync(out);
  } finally {
    closeSync(out);
  }
}

function eachPiece(path: string, put: (bytes: Buffer) => void): void {
  const from = openSync(path, 'r');
  const piece = Buffer.alloc(1 << 20);
  try {
    for (let length = readSync(from, piece); length > 0; length = readSync(from, piece)) put(piece.subarray(0, length));
  } finally {
    closeSync(from);
  }
}
