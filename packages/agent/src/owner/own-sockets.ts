import { fstatSync, readdirSync, readlinkSync } from 'node:fs';
import type net from 'node:net';
import { descriptorOf } from '../bytes/inside/known.ts';
import type { FoundSocket } from './socket-tables.ts';
import { SpareTime } from './spare-time.ts';

/** A rest of listing may be made up for that was so long. */
const RESTED_MS = 1_000;
const MOST_OTHERS = 4_096;

/**
 * Inodes of the sockets that this very process holds. Throws where its files cannot be listed. As long as there are files: not for a thread that carries
 * bytes.
 */
export function ownSockets(): ReadonlySet<string> {
  return new Set(ownFiles().keys());
}

/** By inode, the file of each. */
function ownFiles(): ReadonlyMap<string, string> {
  const own = new Map<string, string>();
  for (const file of readdirSync('/proc/self/fd')) {
    const inode = linkedInode(file);
    if (inode !== undefined) own.set(inode, file);
  }
  return own;
}

/** The agent listens at a service's port on many addresses, and calls from none of them: which sockets are its own is asked for callers of UDP. */
export class OwnSockets {
  readonly #list: () => ReadonlyMap<string, string>;
  readonly #inodeAt: (file: string) => string | undefined;
  readonly #now: () => number;
  /** By inode, the file of each when they were listed last. */
  #files: ReadonlyMap<string, string> = new Map();
  /** That were others' when its files were listed: what an open flow is of is not listed for again. */
  readonly #others = new Set<string>();
  readonly #toList = new SpareTime(RESTED_MS);

  /** `now`: milliseconds of a clock that never goes back. */
  constructor(list = ownFiles, inodeAt = linkedInode, now: () => number = () => performance.now()) {
    this.#list = list;
    this.#inodeAt = inodeAt;
    this.#now = now;
  }

  /** Those that are others'. One that is opened while its files are not listed again is taken for another's for so long, by which nobody is told. */
  without(sockets: readonly FoundSocket[]): readonly FoundSocket[] {
    const isMet = (socket: FoundSocket) => this.#others.has(socket.inode) || this.#has(socket);
    if (!sockets.every(isMet) && this.#refresh()) this.#note(sockets);
    return sockets.filter((socket) => !this.#has(socket));
  }

  #has({ inode }: FoundSocket): boolean {
    const file = this.#files.get(inode);
    return file !== undefined && this.#inodeAt(file) === inode;
  }

  #note(sockets: readonly FoundSocket[]): void {
    for (const socket of sockets) {
      if (this.#others.size >= MOST_OTHERS) this.#others.clear();
      if (!this.#has(socket)) this.#others.add(socket.inode);
    }
  }

  /** As long as there are files, and others bring as many callers as they like: within a twentieth of the time. Answers whether they were listed. */
  #refresh(): boolean {
    const begun = this.#now();
    if (!this.#toList.allows(begun)) return false;
    try {
      this.#files = this.#list();
      return true;
    } catch {
      // Those of before are asked for by their numbers.
      return false;
    } finally {
      const ended = this.#now();
      this.#toList.spend(ended - begun, ended);
    }
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
