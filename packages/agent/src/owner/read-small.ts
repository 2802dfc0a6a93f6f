/** Files of /proc of a page or so, without what makes reading of any file cost four times as much. */
import { closeSync, openSync, readSync } from 'node:fs';

const buffer = Buffer.allocUnsafe(64 * 1024);

/** Its text as Latin-1, of 64 KiB at most. Throws the system's error. */
export function readSmall(path: string): string {
  const file = openSync(path, 'r');
  try {
    let end = 0;
    for (let count = -1; count !== 0 && end < buffer.length; end += count)
      count = readSync(file, buffer, end, buffer.length - end, null);
    return buffer.toString('latin1', 0, end);
  } finally {
    closeSync(file);
  }
}
