/** Files that a crash at any moment leaves either as they were or whole. */

import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '@weft/proto';
import { KeyFileError } from './errors.ts';

/** The file's text, or undefined when there is none. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw new KeyFileError('unreadable', `cannot read ${path}: ${messageOf(error)}; check its owner and mode`, error);
  }
}

/** Makes the file; throws when it is there already. */
export function createFile(path: string, text: string, mode: number): void {
  write(path, text, mode, (temporary) => {
    // A link, unlike a rename, fails when the name is taken.
    linkSync(temporary, path);
    unlinkSync(temporary);
  });
}

/** Makes the file, or puts the text in the place of what was there. */
export function replaceFile(path: string, text: string, mode: number): void {
  write(path, text, mode, (temporary) => renameSync(temporary, path));
}

function write(path: string, text: string, mode: number, install: (temporary: string) => void): void {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    const file = openSync(temporary, 'wx', mode);
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    install(temporary);
    // The name is on disk only once its directory is.
    const directory = openSync(dirname(path), 'r');
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
  } catch (error) {
    removeIfThere(temporary);
    throw new KeyFileError(
      'unreadable',
      `cannot write ${path}: ${messageOf(error)}; check the directory and the disk`,
      error,
    );
  }
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
