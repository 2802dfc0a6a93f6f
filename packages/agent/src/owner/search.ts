/** One search for sockets among processes. */
import { fromSomewhere } from './from-somewhere.ts';
import { atOnce, Lister } from './lister.ts';
import type { Processes, Table } from './processes.ts';

export interface Holder {
  readonly pid: number;
  /** Number of the file in it. */
  readonly file: string;
  /** The thread in whose table of files that is, where it is not the first one's. */
  readonly thread?: string;
}

/** By inode. */
export type Held = ReadonlyMap<string, readonly Holder[]>;

/** Files looked at in one walk: beyond it nobody is named. */
export const MOST_FILES = 100_000;
/** As many are listed in the time that one is looked at; who has more than so many times what may be looked at comes behind all others. */
export const LISTED_FOR_ONE = 16;
/** Files of who is looked at beside the holders, half what is new there and half of the rest. */
export const MOST_OF_STRANGER = 16;
/** Of who has more files than so many none is listed. */
const MOST_OF_LIST = 4_096;
/** Threads of one, beside the first, each of which may have a table of its own; and of all threads that one look is at, how many are listed, and files of them. */
const MOST_THREADS = 8;
const MOST_OF_THREADS = 4_096;

/** What was found, and how much more may be looked at. */
export class Search {
  readonly #processes: Processes;
  readonly #inodes: ReadonlySet<string>;
  readonly #found = new Map<string, Holder[]>();
  readonly #all: boolean;
  /** Who has more files than that comes behind all others. */
  readonly #mostListed: number;
  #left: number;

  /** `all`: of each socket all holders, not one. */
  constructor(processes: Processes, inodes: ReadonlySet<string>, most: number, all = false) {
    this.#all = all;
    this.#processes = processes;
    this.#inodes = inodes;
    this.#left = most;
    this.#mostListed = Math.min(MOST_FILES, LISTED_FOR_ONE * most);
  }

  get held(): Held {
    return this.#found;
  }

  /** All found, or as much looked at as may be. */
  get isOver(): boolean {
    return this.#left <= 0 || (!this.#all && this.#found.size === this.#inodes.size);
  }

  look(pid: number, file: string): void {
    this.#left--;
    this.#note(this.#processes.look(pid, file), { pid, file });
  }

  /** Looks at so many files of one process at most. */
  within(pid: number, most: number, list: Lister): void {
    const files = atOnce(this.#processes.filesOf(pid, list));
    this.#left--;
    if (typeof files === 'string') return;
    // To list them takes some time too, the more the more there are.
    this.#left -= Math.floor(files.length / LISTED_FOR_ONE);
    for (const file of files.slice(0, most)) {
      if (this.isOver) return;
      this.look(pid, file);
    }
  }

  /**
   * Looks at some files of one process, however much was looked at before. Where a first thread has ended its own table is empty, and the others mostly have
   * one between them: then at some of that.
   */
  stranger(pid: number): 'looked' | 'gone' | 'hidden' {
    const files = atOnce(this.#processes.filesOf(pid, new Lister(MOST_OF_LIST)));
    if (files === 'gone' || files === 'hidden') return files;
    this.#left--;
    for (const file of this.#likelyOf(pid, files)) this.look(pid, file);
    if (files.length > 0) return 'looked';
    const [table] = this.#processes.tablesOf(pid, new Lister(MOST_THREADS), new Lister(MOST_OF_LIST));
    if (table === 'hidden') return table;
    if (table !== undefined) this.#table(pid, table);
    return 'looked';
  }

  /** Looks at what other threads of these have open, who may have left the table of the first (unshare(2)): at some files of each, of some threads, by performance.now(). */
  besides(pids: readonly number[], until: number): void {
    const threads = new Lister(MOST_OF_THREADS);
    const files = new Lister(MOST_OF_THREADS);
    for (const pid of pids) {
      if (performance.now() >= until) return;
      let left = MOST_THREADS;
      for (const table of this.#processes.tablesOf(pid, threads, files)) {
        if (table !== 'hidden') this.#table(pid, table);
        if (--left === 0 || performance.now() >= until) break;
      }
    }
  }

  #table(pid: number, { thread, files }: Table): void {
    for (const file of this.#likelyOf(pid, files, thread))
      this.#note(this.#processes.inodeOf(pid, file, thread), { pid, file, thread });
  }

  /** Of many the likely ones. */
  #likelyOf(pid: number, files: readonly string[] | 'many', thread?: string): readonly string[] {
    const all = files === 'many' ? this.#processes.lastOf(pid, MOST_OF_STRANGER, MOST_OF_LIST, thread) : files;
    this.#left -= Math.floor(all.length / LISTED_FOR_ONE);
    return sampleOf(all);
  }

  #note(inode: string | undefined, holder: Holder): void {
    if (inode === undefined || !this.#inodes.has(inode)) return;
    const holders = this.#found.get(inode) ?? [];
    if (holders.some(({ pid }) => pid === holder.pid)) return;
    holders.push(holder);
    this.#found.set(inode, holders);
  }

  /** Answers whether it has more than are listed. */
  *allOf(pid: number): Generator<void, boolean> {
    const files = yield* this.#processes.filesOf(pid, new Lister(this.#mostListed));
    if (typeof files === 'string') return files === 'many';
    this.#left--;
    yield* this.#each(pid, files);
    return false;
  }

  /** Of who has more than are listed, as many as may be looked at still: the lowest, for the kernel gives the lowest that is free. */
  *someOf(pid: number): Generator<void, void> {
    if (this.isOver) return;
    const files = yield* this.#processes.filesOf(pid, new Lister(this.#left), true);
    if (typeof files !== 'string') yield* this.#each(pid, files);
  }

  *#each(pid: number, files: readonly string[]): Generator<void, void> {
    for (const file of files) {
      if (this.isOver) return;
      this.look(pid, file);
      yield;
    }
  }
}

/** Of more than are looked at of a stranger the first ones, and as many others: a number that was given again is not new. */
function sampleOf(files: readonly string[]): readonly string[] {
  if (files.length <= MOST_OF_STRANGER) return files;
  const half = MOST_OF_STRANGER / 2;
  return [...files.slice(0, half), ...fromSomewhere(files.slice(half)).slice(0, half)];
}
