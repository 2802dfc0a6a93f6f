/**
 * Which processes hold a socket. A socket that is held says who made it, and in which control group: only processes of both are looked at, for others
 * got it from one of those. Looked at are first those who held one before, by the numbers of the files that it was, then those that are new, then all others, a
 * little at a time.
 */
import { fromSomewhere } from './from-somewhere.ts';
import { atOnce, Lister } from './lister.ts';
import { Processes, type Table } from './processes.ts';
import { inTurn } from './slices.ts';

export interface Holder {
  readonly pid: number;
  /** Number of the file in it. */
  readonly file: string;
  /** The thread in whose table of files that is, where it is not the first one's. */
  readonly thread?: string;
}

/** By inode. */
export type Held = ReadonlyMap<string, readonly Holder[]>;

/** Who may hold them. */
export interface Makers {
  /** Undefined for all users. */
  readonly uid: number | undefined;
  /** Numbers of the processes of its control group; undefined where that is not known, or is no narrower. Asked where it is needed. */
  readonly group: () => readonly number[] | undefined;
}

export interface Handed {
  readonly held: Held;
  /** Users who have more files than could be looked at. */
  readonly unlooked: readonly number[];
}

export interface Strangers {
  readonly held: Held;
  /** Those that were to be looked at and could not be. */
  readonly hidden: ReadonlySet<number>;
}

interface StrangersLook {
  /** Files that are looked at. */
  readonly most?: number;
  readonly unseen?: ReadonlySet<number>;
}

/** Files looked at in one walk: beyond it nobody is named. */
export const MOST_FILES = 100_000;
/** Files that are looked at at once, and of one process. */
const MOST_QUICK = 512;
/** As many are listed in the time that one is looked at; who has more than so many times what may be looked at comes behind all others. */
const LISTED_FOR_ONE = 16;
const MOST_OF_ONE = 128;
/** Processes that held something, and the files of each that it was. */
const MOST_FOUND = 256;
const MOST_HOT = 64;
/**
 * Others looked into beside who was found, and files of each, half what is new there and half of the rest: at least so many, and up to that many as long as they take
 * no more than a twentieth of the time since the last such look.
 */
const LEAST_STRANGERS = 4;
const MOST_STRANGERS = 256;
const MOST_OF_STRANGER = 16;
/** Of who has more files than so many none is listed. */
const MOST_OF_LIST = 4_096;
/** Threads of one, beside the first, each of which may have a table of its own; and of all threads that one look is at, how many are listed, and files of them. */
const MOST_THREADS = 8;
const MOST_OF_THREADS = 4_096;
/** Of who was another user's it is asked again after so long. */
const ANOTHERS_MS = 5_000;
const STRANGERS_SHARE = 0.05;
const MOST_STRANGERS_MS = 25;
/** Processes of one control group, where not all of them are walked through. */
const MOST_LISTED = 1_024;

export class Holders {
  readonly #processes: Processes;
  /** Who held something that was looked for, and as which files; the newest at the end. */
  readonly #found = new Map<number, Set<string>>();

  readonly #anothersMs: number;
  #strangersMs = Number.NEGATIVE_INFINITY;

  constructor(proc = '/proc', anothersMs: number = ANOTHERS_MS) {
    this.#processes = new Processes(proc);
    this.#anothersMs = anothersMs;
  }

  /** Those who are found at once. */
  quick(inodes: ReadonlySet<string>, makers: Makers, most: number = MOST_QUICK): Held {
    const search = new Search(this.#processes, inodes, most);
    const list = new Lister(LISTED_FOR_ONE * most);
    const mine = [...this.#found].reverse().filter(([pid]) => this.#processes.isOf(pid, makers.uid));
    for (const [pid, files] of mine) {
      if (search.isOver) break;
      for (const file of likely(files)) search.look(pid, file);
    }
    if (!search.isOver)
      for (const pid of this.#newcomers(makers)) {
        search.within(pid, MOST_OF_ONE, list);
        if (search.isOver) break;
      }
    for (const [pid] of mine)
      if (!search.isOver && this.#processes.filesSeen(pid) <= MOST_OF_ONE) search.within(pid, MOST_OF_ONE, list);
    return this.#remember(search.held);
  }

  /** Who may hold them are looked at until each has been found somewhere, or `all` of them are. Yields often. */
  *walk(
    inodes: ReadonlySet<string>,
    makers: Makers,
    { most = MOST_FILES, all: wantsAll = false }: { readonly most?: number; readonly all?: boolean } = {},
  ): Generator<void, Held> {
    const search = new Search(this.#processes, inodes, most, wantsAll);
    const { uid } = makers;
    const group = makers.group();
    if (group === undefined) this.#processes.list();
    const all = new Set(group === undefined ? this.#processes.newest : this.#processes.among(group, uid));
    const first = [...this.#found.keys()].reverse().filter((pid) => all.has(pid));
    yield* this.#through(search, new Set([...first, ...all]), uid);
    if (group === undefined && !search.isOver) {
      const changed = this.#processes.recheck();
      yield* this.#through(search, new Set([...this.#processes.newcomers(), ...changed]), uid);
    }
    return this.#remember(search.held);
  }

  /** Who else holds these, of whatever user, than the one who made them and hands them on: of each user in turn, so that nobody's files hide another's. Yields often. */
  *handed(inodes: ReadonlySet<string>, by: number, most: number = MOST_FILES): Generator<void, Handed> {
    const search = new Search(this.#processes, inodes, most, true);
    this.#processes.list();
    const others = this.#processes.newest.filter((pid) => pid !== by);
    const users = Map.groupBy(others, (pid) => this.#processes.userOf(pid));
    const looks = [...users].map(([uid, pids]) => [uid, this.#through(search, pids, uid)] as const);
    const unlooked = yield* inTurn(new Map(looks), () => search.isOver);
    return { held: search.held, unlooked: unlooked.flatMap((uid) => uid ?? []) };
  }

  /**
   * Of those who are not known to make no difference, who else holds them: `kin` of the holders first, then who held something before, the
   * newest, and of all others some each time, from anywhere on. Who was handed a socket on purpose is known to who made it. `unseen`: who could not be looked at
   * before, all of which are looked at whatever time that takes.
   */
  strangers(
    held: Held,
    makers: Makers,
    kin: Iterable<number>,
    isAlike: (pid: number) => boolean,
    { most = MOST_STRANGERS * MOST_OF_STRANGER, unseen = new Set() }: StrangersLook = {},
  ): Strangers {
    const known = new Set([...held.values()].flat().map(({ pid }) => pid));
    const search = new Search(this.#processes, new Set(held.keys()), most, true);
    const near = new Set([...unseen, ...kin]);
    const begun = performance.now();
    const until = begun + Math.min(MOST_STRANGERS_MS, STRANGERS_SHARE * (begun - this.#strangersMs));
    const threaded: number[] = [];
    let looked = 0;
    const hidden = new Set<number>();
    for (const pid of this.#others(makers, near)) {
      const isOver = search.isOver || performance.now() >= until;
      if (!unseen.has(pid) && (looked >= MOST_STRANGERS || (looked >= LEAST_STRANGERS && isOver))) break;
      if (known.has(pid) || pid === process.pid) continue;
      if (!this.#isOf(pid, makers.uid, near.has(pid) ? 0 : this.#anothersMs)) continue;
      // Once each.
      known.add(pid);
      if (isAlike(pid)) continue;
      const threads = this.#processes.threadsOf(pid);
      const seen = search.stranger(pid);
      // Who has ended is in nobody's place.
      if (seen === 'gone') continue;
      looked++;
      if (seen === 'hidden' || threads === 'hidden') hidden.add(pid);
      else if (threads > 0) threaded.push(pid);
    }
    // Behind all that, since mostly those have the same table: for as long as there is time.
    search.besides(fromSomewhere(threaded), until);
    this.#strangersMs = performance.now();
    return { held: search.held, hidden };
  }

  /** Whether it is held there still. */
  holds({ pid, file, thread }: Holder, inode: string): boolean {
    return this.#processes.inodeOf(pid, file, thread) === inode;
  }

  *#others(makers: Makers, kin: Iterable<number>): Generator<number> {
    yield* kin;
    yield* this.#processes.newcomers();
    yield* [...this.#found.keys()].reverse().slice(0, LEAST_STRANGERS / 2);
    const all =
      makers
        .group()
        ?.slice(0, MOST_LISTED)
        .sort((one, other) => other - one) ?? this.#processes.newest;
    yield* all.slice(0, LEAST_STRANGERS / 2);
    yield* fromSomewhere(all).slice(0, 4 * MOST_STRANGERS);
  }

  *#newcomers({ uid, group: members }: Makers): Generator<number> {
    const group = members();
    if (group !== undefined) yield* this.#processes.among(group.slice(0, MOST_LISTED), uid);
    else for (const pid of this.#processes.newcomers()) if (this.#processes.isOf(pid, uid)) yield pid;
  }

  #isOf(pid: number, uid: number | undefined, anothersMs: number): boolean {
    return this.#processes.knows(pid)
      ? this.#processes.isOf(pid, uid, anothersMs)
      : this.#processes.among([pid], uid).length > 0;
  }

  *#through(search: Search, pids: Iterable<number>, uid: number | undefined): Generator<void, void> {
    const many: number[] = [];
    for (const pid of pids) {
      if (search.isOver) return;
      yield;
      if (!this.#processes.isOf(pid, uid)) continue;
      if (yield* search.allOf(pid)) many.push(pid);
    }
    for (const pid of many) yield* search.someOf(pid);
  }

  #remember(held: Held): Held {
    for (const { pid, file } of [...held.values()].flat()) {
      const files = this.#found.get(pid) ?? new Set();
      this.#found.delete(pid);
      this.#found.set(pid, files);
      files.delete(file);
      files.add(file);
      const [oldest = ''] = files;
      if (files.size > MOST_HOT) files.delete(oldest);
    }
    for (const [pid] of this.#found) {
      if (this.#found.size <= MOST_FOUND) break;
      this.#found.delete(pid);
    }
    return held;
  }
}

/**
 * Files that it was, and the next ones: the kernel gives the lowest number that is free. Who calls one after the other has the last again, and
 * who has many calls at once the one that was given longest ago, for that call ends first: from both ends in turn.
 */
export function* likely(files: ReadonlySet<string>): Generator<string> {
  const before = [...files];
  const next = `${Number(before.at(-1) ?? 0) + 1}`;
  for (let at = 0; at < before.length; at++) {
    if (at === 1 && !files.has(next)) yield next;
    const file = before[at % 2 === 0 ? before.length - 1 - at / 2 : (at - 1) / 2];
    if (file !== undefined) yield file;
  }
  if (before.length < 2 && !files.has(next)) yield next;
  const beyond = `${Math.max(0, ...before.map(Number)) + 1}`;
  if (beyond !== next) yield beyond;
}

/** Of more than are looked at of a stranger the first ones, and as many others: a number that was given again is not new. */
function someOf(files: readonly string[]): readonly string[] {
  if (files.length <= MOST_OF_STRANGER) return files;
  const half = MOST_OF_STRANGER / 2;
  return [...files.slice(0, half), ...fromSomewhere(files.slice(half)).slice(0, half)];
}

/** One search for sockets: what was found, and how much more may be looked at. */
class Search {
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
    for (const file of this.#someOf(pid, files)) this.look(pid, file);
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
    for (const file of this.#someOf(pid, files, thread))
      this.#note(this.#processes.inodeOf(pid, file, thread), { pid, file, thread });
  }

  /** Of many the likely ones. */
  #someOf(pid: number, files: readonly string[] | 'many', thread?: string): readonly string[] {
    const all = files === 'many' ? this.#processes.lastOf(pid, MOST_OF_STRANGER, MOST_OF_LIST, thread) : files;
    this.#left -= Math.floor(all.length / LISTED_FOR_ONE);
    return someOf(all);
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
