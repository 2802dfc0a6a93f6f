/** Processes that held sockets before: who calls once calls again, and is found by a few files without a walk. For who may not wait. */
import { statSync } from 'node:fs';
import { likely } from './likely.ts';
import { Lister } from './lister.ts';
import { MetProcess } from './met-process.ts';
import { mayHaveMade, type ProcessFacts } from './process.ts';

/** A process that was found to hold a socket. */
export interface FoundHolder {
  readonly pid: number;
  /** Number of the file in it. */
  readonly file: string;
  /** Of the socket that it is. */
  readonly inode: string;
  /** When it began: with the number, one process and no other. */
  readonly began: number;
  readonly uid: number;
}

/** Of this process: how many files it may have open, and whether the next leaves enough for what it carries. */
export interface SpareFiles {
  readonly limit: number;
  readonly spare: boolean;
}

interface Known {
  readonly process: MetProcess;
  readonly uid: number;
  /** That were such sockets; the last is the newest. */
  readonly files: Set<string>;
  /** By inode, what is a socket and was seen to be, until its caller has left. */
  readonly open: Map<string, string>;
  /** Those that were, until the caller left: the lowest of them is most likely the next. */
  readonly free: Set<string>;
}

const MOST_KNOWN = 32;
/** Each takes up to so many files of this process, and all together a part of those that it may have. */
const FILES_OF_ONE = 3;
const FILES_SHARE = 64;
const UNBOUNDED: SpareFiles = { limit: Number.POSITIVE_INFINITY, spare: true };
const MOST_FILES = 64;
const MOST_OPEN = 1_024;
/** Files of who called last that are looked at before all else. */
const GUESSES = 3;
/** Files that are listed in one look, of all processes together: each is more than a microsecond, and they are as many as their user likes. */
const MOST_LISTED = 256;

export class KnownHolders {
  readonly #proc: string;
  /** By number; who was found last is at the end. */
  readonly #known = new Map<number, Known>();
  #last: Known | undefined;
  readonly #files: SpareFiles;
  readonly #most: number;

  constructor(proc = '/proc', files: SpareFiles = UNBOUNDED) {
    this.#proc = proc;
    this.#files = files;
    this.#most = Math.min(MOST_KNOWN, Math.floor(files.limit / FILES_SHARE / FILES_OF_ONE));
  }

  learn({ pid, file, inode, began, uid }: FoundHolder): void {
    const before = this.#known.get(pid);
    const known = before?.process.began === began ? before : this.#met(pid, began, uid);
    if (known === undefined) return;
    note(known, file, inode);
    this.#putLast(known.uid === uid ? known : { ...known, uid });
    const [first = 0] = this.#known.keys();
    if (this.#known.size > this.#most) this.#forget(first);
  }

  /**
   * What holds the socket that this user made, and did so before and after that was read, in the control group at this path, where it is known; undefined where it is none of
   * those, or is not found within so many files. Of who has more than some hundreds of files those alone are looked at that were sockets before.
   */
  find(inode: string, uid: number, path: string | undefined, most: number): ProcessFacts | undefined {
    const last = this.#last;
    if (last?.uid === uid) {
      const file = guessed(last, inode, Math.min(GUESSES, most));
      if (file !== undefined) return this.#proven(last, file, inode, path);
    }
    let left = most - GUESSES;
    const list = new Lister(MOST_LISTED);
    for (const [pid, known] of [...this.#known].reverse()) {
      if (known.uid !== uid) continue;
      for (const file of this.#candidates(pid, known, inode, list)) {
        if (left-- <= 0) return undefined;
        const found = known.process.inodeOf(file);
        if (found === inode) return this.#proven(known, file, inode, path);
        // Taken meanwhile by another, who may be asked about next.
        if (found !== undefined) take(known, file, found);
      }
      // Of who is gone one file was looked at, and none will be again.
      if (!this.#known.has(pid)) left++;
    }
    return undefined;
  }

  /** The socket is most likely closed by now. */
  left(pid: number, inode: string): void {
    const known = this.#known.get(pid);
    const file = known?.open.get(inode);
    if (known === undefined || file === undefined) return;
    known.open.delete(inode);
    known.free.add(file);
    const [first = ''] = known.free;
    if (known.free.size > MOST_FILES) known.free.delete(first);
  }

  close(): void {
    for (const pid of [...this.#known.keys()]) this.#forget(pid);
  }

  /**
   * What it was seen as, those that are free by now, those that it was, and then what else it has, the newest numbers first: not all of who has many calls at once have been met.
   * Who is gone is forgotten.
   */
  *#candidates(pid: number, known: Known, inode: string, list: Lister): Generator<string> {
    const [first = '', ...others] = new Set(guesses(known, inode));
    yield first;
    const directory = `${this.#proc}/${pid}/fd`;
    let all: readonly string[];
    try {
      // How many they are, since Linux 6.2; 0 before.
      const { size } = statSync(directory);
      yield* others;
      all = list.names(directory, size) ?? [];
    } catch {
      this.#forget(pid);
      return;
    }
    // The kernel lists them in order.
    for (const file of all.toReversed()) if (file !== first && !others.includes(file)) yield file;
  }

  #proven(known: Known, file: string, inode: string, path: string | undefined): ProcessFacts | undefined {
    const { process, uid } = known;
    const self = process.holding(file, inode, uid);
    if (self === undefined) {
      this.#forget(process.pid);
      return undefined;
    }
    note(known, file, inode);
    if (known !== this.#last) this.#putLast(known);
    return mayHaveMade(self, path) ? self : undefined;
  }

  #met(pid: number, began: number, uid: number): Known | undefined {
    this.#forget(pid);
    if (!this.#files.spare) return undefined;
    try {
      const process = new MetProcess(pid, began, this.#proc);
      return { process, uid, files: new Set(), open: new Map(), free: new Set() };
    } catch {
      return undefined;
    }
  }

  #putLast(known: Known): void {
    const { pid } = known.process;
    this.#known.delete(pid);
    this.#known.set(pid, known);
    this.#last = known;
  }

  #forget(pid: number): void {
    if (this.#last?.process.pid === pid) this.#last = undefined;
    this.#known.get(pid)?.process.close();
    this.#known.delete(pid);
  }
}

/** As which file the process has it, within so many looks: as the one it was seen as, or the lowest that is free by now. */
function guessed(known: Known, inode: string, most: number): string | undefined {
  const { process, open, free } = known;
  for (let look = 0; look < most; look++) {
    const file = open.get(inode) ?? lowest(free);
    if (file === undefined) return undefined;
    const found = process.inodeOf(file);
    if (found === inode) return file;
    if (found === undefined) return undefined;
    open.delete(inode);
    take(known, file, found);
  }
  return undefined;
}

function* guesses({ files, open, free }: Known, inode: string): Generator<string> {
  const seen = open.get(inode);
  if (seen !== undefined) yield seen;
  yield* [...free].sort((one, other) => Number(one) - Number(other));
  yield* likely(files);
}

function lowest(files: ReadonlySet<string>): string | undefined {
  let least: string | undefined;
  for (const file of files) if (least === undefined || Number(file) < Number(least)) least = file;
  return least;
}

/** The socket is that file. */
function note(known: Known, file: string, inode: string): void {
  const { files } = known;
  files.delete(file);
  files.add(file);
  const [oldest = ''] = files;
  if (files.size > MOST_FILES) files.delete(oldest);
  take(known, file, inode);
}

/** The file is taken, by that socket or by what is none. */
function take({ open, free }: Known, file: string, inode: string): void {
  free.delete(file);
  if (inode === '') return;
  open.set(inode, file);
  const [first = ''] = open.keys();
  if (open.size > MOST_OPEN) open.delete(first);
}
