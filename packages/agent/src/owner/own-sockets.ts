import { readdirSync, readlinkSync } from 'node:fs';

/** Inodes of the sockets that this very process holds. Throws where its files cannot be listed. */
export function ownSockets(): ReadonlySet<string> {
  const own = new Set<string>();
  for (const file of readdirSync('/proc/self/fd')) {
    const inode = inodeOf(file);
    if (inode !== undefined) own.add(inode);
  }
  return own;
}

function inodeOf(file: string): string | undefined {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${file}`))?.[1];
  } catch {
    // It is closed by now.
    return undefined;
  }
}
