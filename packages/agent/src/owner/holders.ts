/**
 * Which processes hold a socket. A socket that is held says who made it, and in which control group: only processes of both are looked at, for others
 * got it from one of those. Looked at are first those who held one before, by the numbers of the files that it was, then those that are new, then all others, a
 * little at a time.
 */
import { fromSomewhere } from './from-somewhere.ts';
import { likely } from './likely.ts';
import { Lister } from './lister.ts';
import { type Moment, Moments } from './moment.ts';
import { Processes } from './processes.ts';
import { type Held, type Holder, LISTED_FOR_ONE, MOST_FILES, MOST_OF_STRANGER, Search } from './search.ts';
import { inTurn } from './slices.ts';

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

interface Look {
  /** Files that are looked at. */
  readonly most?: number;
  /** Where others are looked for as well; else it is one of its own. */
  readonly moment?: Moment;
}

interface StrangersLook extends Look {
  readonly unseen?: ReadonlySet<number>;
}

/** Files that are looked at at once, and of one process. */
const MOST_QUICK = 512;
const MOST_OF_ONE = 128;
/** Processes that held something, and the files of each that it was. */
const MOST_FOUND = 256;
const MOST_HOT = 64;
/** Others looked into beside who was found: at least so many, and up to that many as long as there is time. */
const LEAST_STRANGERS = 4;
const MOST_STRANGERS = 256;
/** Of who was another user's it is asked again after so long. */
const ANOTHERS_MS = 5_000;
/** Processes of one control group, where not all of them are walked through. */
const MOST_LISTED = 1_024;

export class Holders {
  readonly #processes: Processes;
  /** Who held something that was looked for, and as which files; the newest at the end. */
  readonly #found = new Map<number, Set<string>>();

  readonly #anothersMs: number;
  readonly #moments: Moments;

  constructor(proc = '/proc', anothersMs: number = ANOTHERS_MS) {
    this.#processes = new Processes(proc);
    this.#moments = new Moments(this.#processes);
    this.#anothersMs = anothersMs;
  }

  /** Now, for so many looks at strangers. */
  moment(looks = 1): Moment {
    return this.#moments.begin(looks, performance.now());
  }

  /** Those who are found at once. */
  quick(inodes: ReadonlySet<string>, makers: Makers, { most = MOST_QUICK, moment = this.moment() }: Look = {}): Held {
    const search = new Search(this.#processes, inodes, most);
    const list = new Lister(LISTED_FOR_ONE * most);
    const mine = [...this.#found].reverse().filter(([pid]) => this.#processes.isOf(pid, makers.uid));
    for (const [pid, files] of mine) {
      if (search.isOver) break;
      for (const file of likely(files)) search.look(pid, file);
    }
    const few = mine.map(([pid]) => pid).filter((pid) => this.#processes.filesSeen(pid) <= MOST_OF_ONE);
    if (!search.isOver)
      for (const pid of this.#near(makers, few, moment)) {
        search.within(pid, MOST_OF_ONE, list);
        if (search.isOver) break;
      }
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
    if (group === undefined) this.#list();
    const all = new Set(group === undefined ? this.#processes.newest : this.#processes.among(group, uid));
    const first = [...this.#found.keys()].reverse().filter((pid) => all.has(pid));
    yield* this.#through(search, new Set([...first, ...all]), uid);
    if (group === undefined && !search.isOver) {
      const changed = this.#processes.recheck();
      const begun = this.#processes.newcomers();
      this.#moments.keep(begun);
      yield* this.#through(search, new Set([...begun, ...changed]), uid);
    }
    return this.#remember(search.held);
  }

  /** Who else holds these, of whatever user, than the one who made them and hands them on: of each user in turn, so that nobody's files hide another's. Yields often. */
  *handed(inodes: ReadonlySet<string>, by: number, most: number = MOST_FILES): Generator<void, Handed> {
    const search = new Search(this.#processes, inodes, most, true);
    this.#list();
    const others = this.#processes.newest.filter((pid) => pid !== by);
    const users = Map.groupBy(others, (pid) => this.#processes.userOf(pid));
    const looks = [...users].map(([uid, pids]) => [uid, this.#through(search, pids, uid)] as const);
    const unlooked = yield* inTurn(new Map(looks), () => search.isOver);
    return { held: search.held, unlooked: unlooked.flatMap((uid) => uid ?? []) };
  }

  /**
   * Of those who are not known to make no difference, who else holds them: `kin` of the holders first, then who held something before, the
   * newcomers, and of all others some each time, from anywhere on. Who was handed a socket on purpose is known to who made it. `unseen`: who could not be looked at
   * before, all of which are looked at whatever time that takes.
   */
  strangers(
    held: Held,
    makers: Makers,
    kin: Iterable<number>,
    isAlike: (pid: number) => boolean,
    { most = MOST_STRANGERS * MOST_OF_STRANGER, unseen = new Set(), moment = this.moment() }: StrangersLook = {},
  ): Strangers {
    const known = new Set([...held.values()].flat().map(({ pid }) => pid));
    const search = new Search(this.#processes, new Set(held.keys()), most, true);
    const near = new Set([...unseen, ...kin]);
    const until = moment.begin(performance.now());
    const threaded: number[] = [];
    let looked = 0;
    const hidden = new Set<number>();
    for (const pid of this.#others(makers, near, moment)) {
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
    moment.end(performance.now());
    return { held: search.held, hidden };
  }

  /** Whether it is held there still. */
  holds({ pid, file, thread }: Holder, inode: string): boolean {
    return this.#processes.inodeOf(pid, file, thread) === inode;
  }

  #list(): void {
    this.#moments.keep(this.#processes.list());
  }

  *#others(makers: Makers, kin: Iterable<number>, moment: Moment): Generator<number> {
    yield* kin;
    yield* moment.newcomers();
    yield* [...this.#found.keys()].reverse().slice(0, LEAST_STRANGERS / 2);
    const all =
      makers
        .group()
        ?.slice(0, MOST_LISTED)
        .sort((one, other) => other - one) ?? this.#processes.newest;
    yield* all.slice(0, LEAST_STRANGERS / 2);
    yield* fromSomewhere(all).slice(0, 4 * MOST_STRANGERS);
  }

  /** Those of the group, or who is new, then these, then who was new before. */
  *#near({ uid, group: members }: Makers, few: readonly number[], moment: Moment): Generator<number> {
    const group = members();
    if (group !== undefined) yield* this.#processes.among(group.slice(0, MOST_LISTED), uid);
    else yield* this.#ofUser(moment.found, uid);
    yield* few;
    if (group === undefined) yield* this.#ofUser(moment.kept, uid);
  }

  *#ofUser(pids: readonly number[], uid: number | undefined): Generator<number> {
    for (const pid of pids) if (this.#processes.isOf(pid, uid)) yield pid;
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
