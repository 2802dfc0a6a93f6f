import { closeSync, fsyncSync, openSync } from 'node:fs';

/** Returns once the file, or the names that a directory holds, are on the disk. Throws what Node does. */
export function syncNow(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
