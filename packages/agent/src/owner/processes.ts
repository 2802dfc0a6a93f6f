/** Processes of this host, whose they are, and the files of each as they were last seen. */
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { fromSomewhere } from './from-somewhere.ts';
import { atOnce, type Lister } from './lister.ts';
import { isGone, toldUser } from './process.ts';
import { readSmall } from './read-small.ts';

/** As many new ones are looked for by their numbers, one after the other; of more, all are listed. */
const MOST_PROBED = 256;
/** Listed for the sake of new ones, and their users asked for, again no sooner than so many times what that takes. */
const AGAIN_SHARE = 10;

/** Of a directory of /proc, beside one for each that it has. */
const LINKS = 2;
/** Files of all processes that are remembered: of more, none. */
const MOST_SEEN = 100_000;

/** What a thread has open, the highest first; `many`, more than may be listed. */
export interface Table {
  readonly thread: string;
  readonly files: readonly string[] | 'many';
}

interface Known {
  /** Asked for when it matters; undefined of one that cannot hold a socket, such as a thread of the kernel. */
  uid: number | undefined | 'unasked';
  /** When it was, by performance.now(). */
  askedMs: number;
  /** By file number, the inode when it was last seen, empty of what is no socket; what changed last is at the end. */
  readonly files: Map<string, string>;
}

export class Processes {
  readonly #proc: string;
  readonly #known = new Map<number, Known>();
  /** Made of what is known, until that changes. */
  #newest: readonly number[] | undefined;
  /** The number that was given last, when they were looked at. */
  #last: number | undefined;
  #listMs = Number.NEGATIVE_INFINITY;
  #recheckMs = Number.NEGATIVE_INFINITY;
  /** Of more that are known many have ended. */
  #mostKnown = MOST_PROBED;
  /** Files that are remembered, of all of them. */
  #seen = 0;
  readonly #mostSeen: number;

  constructor(proc = '/proc', mostSeen: number = MOST_SEEN) {
    this.#proc = proc;
    this.#mostSeen = mostSeen;
  }

  /** All that are known, the newest first, whosever they are. */
  get newest(): readonly number[] {
    this.#newest ??= [...this.#known.keys()].reverse();
    return this.#newest;
  }

  knows(pid: number): boolean {
    return this.#known.has(pid);
  }

  /** As it was when it was asked last; undefined of one that cannot hold a socket. */
  userOf(pid: number): number | undefined {
    const known = this.#known.get(pid);
    if (known === undefined) return undefined;
    return known.uid === 'unasked' ? this.#askUser(pid, known) : known.uid;
  }

  /** `anothersMs`: of who was another's it is asked again after so long, for whoever drops its rights keeps its number. */
  isOf(pid: number, uid: number | undefined, anothersMs: number = Number.POSITIVE_INFINITY): boolean {
    const known = this.#known.get(pid);
    if (known === undefined) return false;
    const isIt = () => known.uid !== undefined && (uid === undefined || known.uid === uid);
    if (known.uid === 'unasked' || (!isIt() && performance.now() - known.askedMs >= anothersMs))
      this.#askUser(pid, known);
    return isIt();
  }

  /** Meets these, whatever was known of them, and answers those that are of the user. */
  among(pids: readonly number[], uid: number | undefined): readonly number[] {
    for (const pid of pids) this.#meet(pid);
    return byAge(
      pids.filter((pid) => this.isOf(pid, uid)),
      this.#last,
    ).reverse();
  }

  /** Finds those that have begun since; the newest first. All of them are listed where that is not too often. */
  newcomers(): readonly number[] {
    const last = this.#lastGiven();
    const before = this.#last;
    if (last !== undefined && last === before) return [];
    if (last !== undefined && before !== undefined && last > before && last - before <= MOST_PROBED) {
      this.#last = last;
      const found: number[] = [];
      for (let pid = before + 1; pid <= last; pid++) if (!this.#isThread(pid) && this.#meet(pid)) found.unshift(pid);
      const mayList = this.#known.size > this.#mostKnown && performance.now() >= this.#listMs;
      return mayList ? [...this.list(), ...found] : found;
    }
    return performance.now() < this.#listMs ? [] : this.list();
  }

  /** Finds those that are not known yet. */
  list(): readonly number[] {
    const begun = performance.now();
    this.#last = this.#lastGiven();
    const pids = new Set<number>();
    for (const name of readdirSync(this.#proc)) if (/^\d+$/.test(name)) pids.add(Number(name));
    for (const pid of this.#known.keys()) if (!pids.has(pid)) this.#forget(pid);
    const found = byAge(
      [...pids].filter((pid) => !this.#known.has(pid)),
      this.#last,
    );
    // To ask whose each is takes far longer than to list them, and most callers are found among the first.
    for (const pid of found) this.#known.set(pid, { uid: 'unasked', askedMs: 0, files: new Map() });
    if (found.length > 0) this.#newest = undefined;
    const ended = performance.now();
    this.#listMs = ended + AGAIN_SHARE * (ended - begun);
    this.#mostKnown = 2 * this.#known.size + MOST_PROBED;
    return found.reverse();
  }

  /** Users change as programs are executed and rights dropped, and numbers are given again. Answers those that are another's now. */
  recheck(): readonly number[] {
    const begun = performance.now();
    if (begun < this.#recheckMs) return [];
    const changed: number[] = [];
    for (const [pid, known] of this.#known) {
      if (known.uid === 'unasked') continue;
      const before = known.uid;
      if (this.#askUser(pid, known) !== before) changed.push(pid);
    }
    const ended = performance.now();
    this.#recheckMs = ended + AGAIN_SHARE * (ended - begun);
    return changed;
  }

  /**
   * Numbers of its files, those first that were not there, the highest first, then what changed last; `gone`, `hidden` where they cannot be listed, or
   * `many`, more than may be, where they are not `cut` to the lowest. Yields often.
   */
  *filesOf(pid: number, list: Lister, cut = false): Generator<void, readonly string[] | 'gone' | 'hidden' | 'many'> {
    if (!this.#known.has(pid)) return 'gone';
    const table = `${this.#proc}/${pid}/fd`;
    let names: readonly string[] | undefined;
    try {
      names = yield* list.slowly(table, this.#countOf(table), cut);
    } catch {
      if (this.#isThere(pid)) return 'hidden';
      this.#forget(pid);
      return 'gone';
    }
    const seen = this.#known.get(pid)?.files;
    if (seen === undefined) return 'gone';
    if (names === undefined) return 'many';
    if (seen.size > 0 && !cut) {
      const open = new Set(names);
      for (const file of seen.keys()) if (!open.has(file) && seen.delete(file)) this.#seen--;
    }
    return [...highestFirst(names.filter((file) => !seen.has(file))), ...[...seen.keys()].reverse()];
  }

  /**
   * So many numbers below the count of its files, or where that is not told below this one, the highest first: the kernel gives the lowest that is free.
   * `thread`: as of `inodeOf`.
   */
  lastOf(pid: number, most: number, otherwise: number, thread?: string): readonly string[] {
    let count = otherwise;
    try {
      count = this.#countOf(this.#tableAt(pid, thread)) || otherwise;
    } catch {
      // It is gone, and none of them will be there.
    }
    return Array.from({ length: Math.min(most, count) }, (_, at) => `${count - 1 - at}`);
  }

  /** How many threads it has beside the first; `hidden` where that cannot be told. */
  threadsOf(pid: number): number | 'hidden' {
    try {
      return Math.max(0, statSync(`${this.#proc}/${pid}/task`).nlink - LINKS - 1);
    } catch (error) {
      return isGone(error) ? 0 : 'hidden';
    }
  }

  /**
   * What its threads beside the first have open, one after the other from anywhere on, of more than may be listed among the first of them; `hidden` of what
   * cannot be looked into.
   */
  *tablesOf(pid: number, threads: Lister, files: Lister): Generator<Table | 'hidden'> {
    const tasks = `${this.#proc}/${pid}/task`;
    let names: readonly string[];
    try {
      names = atOnce(threads.slowly(tasks, 0, true)) ?? [];
    } catch (error) {
      if (!isGone(error)) yield 'hidden';
      return;
    }
    for (const thread of fromSomewhere(names.filter((each) => each !== `${pid}`)))
      yield this.#tableOf(pid, thread, files);
  }

  /** How many files it had when they were last seen. */
  filesSeen(pid: number): number {
    return this.#known.get(pid)?.files.size ?? 0;
  }

  /** Inode of the socket that the file is; undefined when it is none, or gone. */
  look(pid: number, file: string): string | undefined {
    const inode = this.inodeOf(pid, file);
    const files = this.#known.get(pid)?.files;
    if (files !== undefined && files.get(file) !== (inode ?? '')) {
      if (!files.delete(file)) this.#makeRoom();
      files.set(file, inode ?? '');
    }
    return inode;
  }

  /** As `look`, without taking note of it. `thread`: whose table the file is in, where that is not the first one's. */
  inodeOf(pid: number, file: string, thread?: string): string | undefined {
    try {
      const link = readlinkSync(`${this.#tableAt(pid, thread)}/${file}`);
      return link.startsWith('socket:[') ? link.slice(8, -1) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Takes it for a new one. Answers whether it is there. */
  #meet(pid: number): boolean {
    const known: Known = this.#known.get(pid) ?? { uid: 'unasked', askedMs: 0, files: new Map() };
    if (!this.#known.has(pid)) {
      this.#known.set(pid, known);
      this.#newest = undefined;
    }
    return this.#askUser(pid, known) !== undefined;
  }

  #askUser(pid: number, known: Known): number | undefined {
    known.askedMs = performance.now();
    const uid = this.#userOf(pid);
    known.uid = uid;
    return uid;
  }

  #forget(pid: number): void {
    this.#seen -= this.#known.get(pid)?.files.size ?? 0;
    this.#known.delete(pid);
    this.#newest = undefined;
  }

  /** For one more file. */
  #makeRoom(): void {
    if (this.#seen >= this.#mostSeen) {
      for (const { files } of this.#known.values()) files.clear();
      this.#seen = 0;
    }
    this.#seen++;
  }

  #tableAt(pid: number, thread: string | undefined): string {
    return thread === undefined ? `${this.#proc}/${pid}/fd` : `${this.#proc}/${pid}/task/${thread}/fd`;
  }

  #tableOf(pid: number, thread: string, list: Lister): Table | 'hidden' {
    const table = this.#tableAt(pid, thread);
    try {
      const names = list.names(table, this.#countOf(table));
      return { thread, files: names === undefined ? 'many' : highestFirst(names) };
    } catch (error) {
      return isGone(error) ? { thread, files: [] } : 'hidden';
    }
  }

  /** How many files are in a table, as a directory of /proc says (since Linux 6.2); 0 where it does not. */
  #countOf(table: string): number {
    return this.#proc === '/proc' ? statSync(table).size : 0;
  }

  #userOf(pid: number): number | undefined {
    try {
      const { uid } = statSync(`${this.#proc}/${pid}`);
      // Root's also where the process is another user's and may not be looked into, as one that has dropped its rights.
      if (uid !== 0) return uid;
      const status = readSmall(`${this.#proc}/${pid}/status`);
      // A thread of the kernel has no memory, and no files. A first thread that has ended has none either, and leaves others.
      return /\n(VmSize:|Threads:\t([2-9]|\d\d))/.test(status) ? toldUser(status) : undefined;
    } catch {
      return undefined;
    }
  }

  /** A thread that is not the first of its process has a number of the same sort, and the process's files. */
  #isThread(pid: number): boolean {
    try {
      return !new RegExp(`\\nTgid:\\t${pid}\\n`).test(readSmall(`${this.#proc}/${pid}/status`));
    } catch {
      return true;
    }
  }

  /** The last word of it (proc_loadavg(5)), as this process namespace counts. */
  #lastGiven(): number | undefined {
    try {
      const last = Number(readSmall(`${this.#proc}/loadavg`).trim().split(' ').at(-1));
      return Number.isNaN(last) ? undefined : last;
    } catch {
      return undefined;
    }
  }

  #isThere(pid: number): boolean {
    try {
      statSync(`${this.#proc}/${pid}`);
      return true;
    } catch {
      return false;
    }
  }
}

/** The oldest first: numbers are given in turn, and from the lowest again where there are no higher ones, so the one that follows the last is the oldest. */
function byAge(pids: readonly number[], last: number = Number.POSITIVE_INFINITY): number[] {
  return pids.toSorted((one, other) => Number(one <= last) - Number(other <= last) || one - other);
}

/** Names that are numbers. */
function highestFirst(names: readonly string[]): readonly string[] {
  return Array.from(Float64Array.from(names, Number).sort().reverse(), String);
}
