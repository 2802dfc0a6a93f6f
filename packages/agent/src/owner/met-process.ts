/**
 * A process that was met with a call, asked about again with its next ones. Its directory of /proc is held open: what is read there is of that very process, or of
 * none once it has ended, whoever has its number by then. What does not change is read once; what may change, each time.
 */
import { closeSync, fstatSync, openSync, readlinkSync, readSync } from 'node:fs';
import {
  factsOf,
  type Groups,
  NO_GROUPS,
  type ProcessFacts,
  programAt,
  readGroups,
  readProcess,
  toldUser,
} from './process.ts';

const ROOT = 0;
const buffer = Buffer.allocUnsafe(64 * 1024);

export class MetProcess {
  readonly pid: number;
  readonly began: number;
  readonly #at: string;
  readonly #parent: number;
  /** Files of the kernel's that are held, by their names; the directory itself is the one of no name. */
  readonly #held = new Map<string, number>();
  #groupsText = '';
  #groups: Groups = NO_GROUPS;

  /** Throws where it is gone, or no file is left. `began`: with the number, one process and no other. */
  constructor(pid: number, began: number, proc = '/proc') {
    this.pid = pid;
    this.began = began;
    this.#at = `${proc}/${pid}`;
    this.#held.set('', openSync(this.#at, 'r'));
    const self = readProcess(pid, proc);
    this.#parent = self?.parent ?? 0;
    if (self?.began === began) return;
    this.close();
    throw new Error('it is gone');
  }

  /** Inode of the socket that the file of this number is; empty when it is none, undefined when there is no such file, or may not be seen. */
  inodeOf(file: string): string | undefined {
    try {
      const link = readlinkSync(`${this.#at}/fd/${file}`);
      return link.startsWith('socket:[') ? link.slice(8, -1) : '';
    } catch {
      return undefined;
    }
  }

  /** What it is, if it is that user's and, as it did when `inodeOf` said so, holds the socket as that file still; undefined where it does not, or has ended. */
  holding(file: string, inode: string, uid: number): ProcessFacts | undefined {
    try {
      const program = programAt(this.#at);
      // It is there still when asked for its user, so what was read by its number until then was read of it.
      if (this.inodeOf(file) !== inode || this.#uid() !== uid) return undefined;
      const { pid, began } = this;
      return factsOf(
        { pid, began, parent: this.#parent, uid },
        () => this.#grouped(),
        () => program,
      );
    } catch {
      return undefined;
    }
  }

  close(): void {
    for (const file of this.#held.values()) closeSync(file);
    this.#held.clear();
  }

  /** Effective user. Throws when it has ended. */
  #uid(): number {
    const directory = this.#held.get('');
    if (directory === undefined) throw new Error('it is gone');
    const { uid } = fstatSync(directory);
    // Root's also where it has ended, or is another user's and may not be looked into.
    return uid === ROOT ? (toldUser(this.#read('status')) ?? Number.NaN) : uid;
  }

  /** Of version 2 and version 1; none when it has ended. */
  #grouped(): Groups {
    let text: string;
    try {
      text = this.#read('cgroup');
    } catch {
      return NO_GROUPS;
    }
    if (text !== this.#groupsText) {
      this.#groupsText = text;
      this.#groups = readGroups(text);
    }
    return this.#groups;
  }

  /** As it is now, of a page or so. Throws when it has ended. */
  #read(name: string): string {
    const file = this.#held.get(name) ?? openSync(`/proc/self/fd/${this.#held.get('')}/${name}`, 'r');
    this.#held.set(name, file);
    return buffer.toString('latin1', 0, readSync(file, buffer, 0, buffer.length, 0));
  }
}
