import { opendirSync } from 'node:fs';

/** Names in a directory of `size` of them, as far as is known; undefined where there are more than are left to be listed. Throws as the system does. */
export type Lister = (path: string, size: number) => readonly string[] | undefined;

/** Of one look: `most` names in all. */
export function lister(most: number): Lister {
  let left = most;
  return (path, size) => {
    if (left === 0 || size > left) return undefined;
    // They may be many by now, or before Linux 6.2: one call of the kernel's lists 1,365, and no other is made in this look.
    const directory = opendirSync(path, { bufferSize: left + 1 });
    try {
      const names: string[] = [];
      for (let entry = directory.readSync(); entry !== null; entry = directory.readSync())
        if (names.push(entry.name) > left) {
          left = 0;
          return undefined;
        }
      left -= names.length;
      return names;
    } finally {
      directory.closeSync();
    }
  };
}
