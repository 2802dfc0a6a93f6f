/**
 * Files that hold what a program keeps: for their owner alone from the first byte, and never half written. After a crash at
 * any moment the old or the new content stands there, never a mixture.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  writeFileSync,
} from 'node:fs';
import { constants, link, lstat, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf } from '../model/errors.ts';
import { FileError } from './errors.ts';

/** For the owner alone, unless another mode is given. */
const SECRET = 0o600;

/** A pipe would keep its opener waiting for a writer for ever. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** The file's text, or undefined when there is none. A symbolic link is refused, and what is no file. Throws FileError. */
export async function readSecretFile(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path, READ);
    requireFile(await file.stat());
    return await file.readFile('utf8');
  } catch (error) {
    return unread(path, error);
  }
}

/** As readSecretFile, before it returns. Throws FileError. */
export function readFileNow(path: string): string | undefined {
  try {
    const file = openSync(path, READ);
    try {
      requireFile(fstatSync(file));
      return readFileSync(file, 'utf8');
    } finally {
      closeSync(file);
    }
  } catch (error) {
    return unread(path, error);
  }
}

function requireFile(found: Stats): void {
  if (!found.isFile()) throw new Error('it is no file');
}

function unread(path: string, error: unknown): undefined {
  const code = codeOf(error);
  if (code === 'ENOENT') return undefined;
  const advice = code === 'ELOOP' ? 'put the file itself there, and no link' : 'check its owner and mode';
  throw new FileError('unreadable', `cannot read ${path}: ${messageOf(error)}; ${advice}`, { cause: error });
}

/** Makes the file. Throws FileError, also when it is there already. */
export async function createSecretFile(path: string, text: string): Promise<void> {
  await write(path, text, SECRET, async (temporary) => {
    // A link, unlike a rename, fails when the name is taken.
    await link(temporary, path);
    await rm(temporary);
  });
}

/** Makes the file, or puts the text in the place of what was there, be it a link. Throws FileError. */
export async function replaceSecretFile(path: string, text: string, mode = SECRET): Promise<void> {
  await write(path, text, mode, (temporary) => rename(temporary, path));
}

/** As replaceSecretFile, before it returns and without a sync: for what is no loss when the power goes. Throws FileError. */
export function replaceFileNow(path: string, text: string): void {
  const temporary = beside(path);
  try {
    writeFileSync(temporary, text, { flag: 'wx', mode: SECRET });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw unwritable(path, error);
  }
}

/**
 * Takes the file away, when it is there, for good. Where the directory does not let go of it, the file is emptied, which only
 * its own mode forbids. Throws FileError.
 */
export async function removeSecretFile(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
    await syncDirectoryOf(path);
  } catch (error) {
    if (await emptied(path)) return;
    throw new FileError('unwritable', `cannot remove ${path}: ${messageOf(error)}; remove it`, { cause: error });
  }
}

/**
 * Leaves the file empty, which needs no room, or takes it away. Whether what it said is out of the way: a step that failed behind that, such as the sync,
 * for which no open file may be left, leaves it so until the power goes.
 */
export async function emptySecretFile(path: string): Promise<boolean> {
  if (await emptied(path)) return true;
  await removeSecretFile(path).catch(() => {});
  return await lstat(path).then(
    (found) => found.isFile() && found.size === 0,
    (error) => codeOf(error) === 'ENOENT',
  );
}

async function emptied(path: string): Promise<boolean> {
  try {
    await using file = await open(
      path,
      constants.O_WRONLY | constants.O_TRUNC | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
    await file.sync();
    return true;
  } catch {
    return false;
  }
}

/**
 * Takes away what a program that was killed had half written of the files `names`; each such end would leave one more for
 * ever. For who holds the directory's lock, and for its own files only: another program may be writing others just now.
 * What cannot be taken away stays, as it costs a little room and nothing else.
 */
export function removeHalfWritten(directory: string, names: readonly string[]): void {
  try {
    for (const found of readdirSync(directory)) {
      const name = TEMPORARY.exec(found)?.[1];
      if (name !== undefined && names.includes(name)) removeIfPossible(join(directory, found));
    }
  } catch {
    // A directory that cannot be listed may still be used.
  }
}

function removeIfPossible(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // See removeHalfWritten.
  }
}

async function write(
  path: string,
  text: string,
  mode: number,
  install: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = beside(path);
  try {
    {
      // wx (O_EXCL) refuses a file or link that somebody put there, so the mode is surely the one given here.
      await using file = await open(temporary, 'wx', mode);
      await file.writeFile(text);
      await file.sync();
    }
    await install(temporary);
    await syncDirectoryOf(path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw unwritable(path, error);
  }
}

/** What `beside` makes. */
const TEMPORARY = /^(.+)\.[0-9a-f]{12}\.tmp$/;

/** A name that nobody can know before. */
function beside(path: string): string {
  return `${path}.${randomBytes(6).toString('hex')}.tmp`;
}

function unwritable(path: string, error: unknown): FileError {
  const advice = 'check the directory and the disk, or choose another directory with --data';
  return new FileError('unwritable', `cannot write ${path}: ${messageOf(error)}; ${advice}`, { cause: error });
}

/** The name lies in the directory; without this it, or its going, may be lost with the power. */
async function syncDirectoryOf(path: string): Promise<void> {
  await using directory = await open(dirname(path), 'r');
  await directory.sync();
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
