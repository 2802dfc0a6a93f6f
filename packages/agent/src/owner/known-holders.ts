/** Processes that held sockets before: who calls once calls again, and is found by a few files without a walk. For who may not wait. */
import { opendirSync, statSync } from 'node:fs';
import { likely } from './holders.ts';
import { mayHaveMade, type ProcessFacts, readProcess } from './process.ts';
import { Processes } from './processes.ts';

/** A process that was found to hold a socket. */
export interface FoundHolder {
  readonly pid: number;
  /** Number of the file in it. */
  readonly file: string;
  /** When it began: with the number, one process and no other. */
  readonly began: number;
  readonly uid: number;
}

interface Known {
  readonly began: number;
  readonly uid: number;
  /** The last is the newest. */
  readonly files: Set<string>;
}

const MOST_KNOWN = 64;
const MOST_FILES = 64;
/** Files that are listed in one look, of all processes together: each is more than a microsecond, and they are as many as their user likes. */
const MOST_LISTED = 256;

export class KnownHolders {
  readonly #processes: Processes;
  readonly #proc: string;
  /** By number; who was found last is at the end. */
  readonly #known = new Map<number, Known>();

  constructor(proc = '/proc') {
    this.#proc = proc;
    this.#processes = new Processes(proc);
  }

  learn({ pid, file, began, uid }: FoundHolder): void {
    const before = this.#known.get(pid);
    const files = before?.began === began ? before.files : new Set<string>();
    files.delete(file);
    files.add(file);
    const [oldest = ''] = files;
    if (files.size > MOST_FILES) files.delete(oldest);
    this.#known.delete(pid);
    this.#known.set(pid, { began, uid, files });
    const [first = 0] = this.#known.keys();
    if (this.#known.size > MOST_KNOWN) this.#known.delete(first);
  }

  /**
   * What holds the socket that this user made, and did so before and after that was read, in the control group at this path, where it is known; undefined where it is none of
   * those, or is not found within so many files. Of who has more than some hundreds of files those alone are looked at that were sockets before.
   */
  find(inode: string, uid: number, path: string | undefined, most: number): ProcessFacts | undefined {
    let left = most;
    const list = lister();
    for (const [pid, known] of [...this.#known].reverse()) {
      if (known.uid !== uid) continue;
      for (const file of this.#candidates(pid, known.files, list)) {
        if (left-- <= 0) return undefined;
        if (this.#processes.inodeOf(pid, file) !== inode) continue;
        return this.#proven(pid, file, inode, known, path);
      }
      // Of who is gone one file was looked at, and none will be again.
      if (!this.#known.has(pid)) left++;
    }
    return undefined;
  }

  /** Those that it was, and then what else it has, the newest numbers first: not all of who has many calls at once have been met. Who is gone is forgotten. */
  *#candidates(pid: number, files: ReadonlySet<string>, list: Lister): Generator<string> {
    const known = likely(files);
    const [first = '', ...others] = known;
    yield first;
    const directory = `${this.#proc}/${pid}/fd`;
    let all: readonly string[];
    try {
      // How many they are, since Linux 6.2; 0 before.
      const { size } = statSync(directory);
      yield* others;
      all = list(directory, size);
    } catch {
      this.#known.delete(pid);
      return;
    }
    // The kernel lists them in order.
    for (const file of all.toReversed()) if (!known.includes(file)) yield file;
  }

  #proven(
    pid: number,
    file: string,
    inode: string,
    { began, uid }: Known,
    path: string | undefined,
  ): ProcessFacts | undefined {
    const self = readProcess(pid, this.#proc);
    if (self?.began !== began || self.uid !== uid || this.#processes.inodeOf(pid, file) !== inode) {
      this.#known.delete(pid);
      return undefined;
    }
    this.learn({ pid, file, began, uid });
    return mayHaveMade(self, path) ? self : undefined;
  }
}

/** Names in a directory of `size` of them, as far as is known; none where there are more than are left to be listed. Throws as the system does. */
type Lister = (path: string, size: number) => readonly string[];

/** Of one look. */
function lister(): Lister {
  let left = MOST_LISTED;
  return (path, size) => {
    if (left === 0 || size > left) return [];
    // They may be many by now, or before Linux 6.2: one call of the kernel's lists 1,365, and no other is made in this look.
    const directory = opendirSync(path, { bufferSize: left + 1 });
    try {
      const names: string[] = [];
      for (let entry = directory.readSync(); entry !== null; entry = directory.readSync())
        if (names.push(entry.name) > left) {
          left = 0;
          return [];
        }
      left -= names.length;
      return names;
    } finally {
      directory.closeSync();
    }
  };
}
