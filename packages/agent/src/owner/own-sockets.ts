import { fstatSync, readdirSync, readlinkSync } from 'node:fs';
import type net from 'node:net';
import { descriptorOf } from '../bytes/inside/known.ts';
import type { FoundSocket } from './socket-tables.ts';

/**
 * Inodes of the sockets that this very process holds. Throws where its files cannot be listed. As long as there are files: not for a thread that carries
 * bytes.
 */
export function ownSockets(): ReadonlySet<string> {
  const own = new Set<string>();
  for (const file of readdirSync('/proc/self/fd')) {
    const inode = linkedInode(file);
    if (inode !== undefined) own.add(inode);
  }
  return own;
}

/** The agent listens at a service's port on many addresses, and calls from none of them. */
export function withoutOwn(sockets: readonly FoundSocket[]): readonly FoundSocket[] {
  try {
    const own = ownSockets();
    return sockets.filter(({ inode }) => !own.has(inode));
  } catch {
    return sockets;
  }
}

function linkedInode(file: string): string | undefined {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${file}`))?.[1];
  } catch {
    // It is closed by now.
    return undefined;
  }
}

/** Of one of them, by its number. Throws where Node does not show that. */
export function inodeOf(socket: net.Socket | net.Server): string {
  return `${fstatSync(descriptorOf(socket) ?? -1).ino}`;
}
