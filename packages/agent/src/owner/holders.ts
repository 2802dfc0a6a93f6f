/**
 * Which processes hold a socket. A socket that is held says who made it, so only processes of that user are looked at: others got
 * it from one of those. Who held one last is looked at first, and of a process its newest files.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

export interface Holder {
  readonly pid: number;
  /** Number of the file in it. */
  readonly file: string;
}

export interface Held {
  /** By inode. */
  readonly holders: ReadonlyMap<string, readonly Holder[]>;
  /** Whether everybody was looked at who may hold one, and could be. */
  readonly complete: boolean;
  /** Files and processes that were looked at. */
  readonly looked: number;
}

export interface Search {
  /** Files and processes to look at, of all walks together. */
  readonly most?: number;
  /** Whether it is enough to look at those whose user was known before. */
  readonly lightly?: boolean;
  /** Whether it makes no difference that a process holds them too, beside those that are known to. */
  readonly alike?: (pid: number, found: readonly Holder[]) => boolean;
}

/** Files and processes looked at for one question: beyond it nobody is named, for a user of millions must not hold up all others. */
export const MOST_FILES = 100_000;
/** A list of processes is good for so long where who is looked for was found. */
const LIST_MS = 250;

/** All processes' users are asked for again no sooner than so many times what that takes. */
const RECHECK_SHARE = 10;

interface Known {
  /** Undefined of one that cannot hold a socket, such as a thread of the kernel. */
  uid: number | undefined;
  /** By file number, the inode when it was last seen; what changed last is at the end. */
  readonly files: Map<string, string>;
}

export class Holders {
  readonly #proc: string;
  readonly #known = new Map<number, Known>();
  /** When the processes were listed. */
  #listedMs = Number.NEGATIVE_INFINITY;
  #recheckMs = Number.NEGATIVE_INFINITY;
  /** Who held something that was looked for, the newest at the end. */
  readonly #found = new Set<number>();

  constructor(proc = '/proc') {
    this.#proc = proc;
  }

  /** Holders of sockets that were made by one user. */
  of(
    uid: number,
    inodes: ReadonlySet<string>,
    { most = MOST_FILES, lightly = false, alike = () => false }: Search = {},
  ): Held {
    const now = performance.now();
    if (now - this.#listedMs > LIST_MS) this.#list(now);
    const budget = { left: most };
    let held = this.#search(uid, inodes, alike, budget);
    const missing = () => budget.left > 0 && [...inodes].some((inode) => !held.holders.has(inode));
    if (missing() && this.#list(now)) held = this.#search(uid, inodes, alike, budget);
    if (!lightly && missing() && now > this.#recheckMs) {
      this.#recheck();
      held = this.#search(uid, inodes, alike, budget);
    }
    return { ...held, looked: most - Math.max(budget.left, 0) };
  }

  /** Whether it is held there still. */
  holds({ pid, file }: Holder, inode: string): boolean {
    return this.#inodeOf(pid, file) === inode;
  }

  #search(
    uid: number,
    inodes: ReadonlySet<string>,
    alike: NonNullable<Search['alike']>,
    budget: { left: number },
  ): Omit<Held, 'looked'> {
    const holders = new Map<string, Holder[]>();
    let complete = true;
    for (const pid of this.#candidates(uid)) {
      if (budget.left-- <= 0) return { holders, complete: false };
      const everyHolder = [...holders.values()].flat();
      const all = holders.size === inodes.size;
      if (all && alike(pid, everyHolder)) continue;
      const files = this.#filesOf(pid);
      if (files === undefined) {
        // One that is gone holds nothing; of another nobody knows.
        if (this.#isThere(pid)) complete = false;
        continue;
      }
      let missing = inodes.size;
      for (const file of files) {
        if (budget.left-- <= 0) return { holders, complete: false };
        const inode = this.#look(pid, file);
        if (inode === undefined || !inodes.has(inode)) continue;
        const others = holders.get(inode) ?? [];
        others.push({ pid, file });
        holders.set(inode, others);
        this.#found.delete(pid);
        this.#found.add(pid);
        if (--missing === 0) break;
      }
    }
    return { holders, complete };
  }

  *#candidates(uid: number): Generator<number> {
    const recent = [...this.#found].reverse().filter((pid) => this.#known.get(pid)?.uid === uid);
    yield* recent;
    for (const [pid, known] of this.#known) if (known.uid === uid && !recent.includes(pid)) yield pid;
  }

  /** Answers whether there are new ones. */
  #list(now: number): boolean {
    this.#listedMs = now;
    const pids = new Set<number>();
    for (const name of readdirSync(this.#proc)) if (/^\d+$/.test(name)) pids.add(Number(name));
    for (const pid of this.#known.keys()) {
      if (pids.has(pid)) continue;
      this.#known.delete(pid);
      this.#found.delete(pid);
    }
    const before = this.#known.size;
    for (const pid of pids)
      if (!this.#known.has(pid)) this.#known.set(pid, { uid: this.#userOf(pid), files: new Map() });
    return this.#known.size > before;
  }

  /** Users change as programs are executed and rights dropped, and numbers are given again. */
  #recheck(): void {
    const begun = performance.now();
    for (const [pid, known] of this.#known) known.uid = this.#userOf(pid);
    const ended = performance.now();
    this.#recheckMs = ended + RECHECK_SHARE * (ended - begun);
  }

  #userOf(pid: number): number | undefined {
    try {
      const { uid } = statSync(`${this.#proc}/${pid}`);
      // Root's also where the process is another user's and may not be looked into, as one that has dropped its rights.
      if (uid !== 0) return uid;
      const status = readFileSync(`${this.#proc}/${pid}/status`, 'latin1');
      // A thread of the kernel has no memory, and no files.
      return status.includes('\nVmSize:') ? Number(/^Uid:\t\d+\t(\d+)/m.exec(status)?.[1]) : undefined;
    } catch {
      return undefined;
    }
  }

  /** New ones first, then what changed last. Undefined where they cannot be listed. */
  #filesOf(pid: number): readonly string[] | undefined {
    const seen = this.#known.get(pid)?.files;
    if (seen === undefined) return undefined;
    let names: readonly string[];
    try {
      names = readdirSync(`${this.#proc}/${pid}/fd`);
    } catch {
      return undefined;
    }
    const open = new Set(names);
    for (const file of seen.keys()) if (!open.has(file)) seen.delete(file);
    return [...names.filter((file) => !seen.has(file)), ...[...seen.keys()].reverse()];
  }

  #look(pid: number, file: string): string | undefined {
    const inode = this.#inodeOf(pid, file);
    const files = this.#known.get(pid)?.files;
    if (files !== undefined && files.get(file) !== (inode ?? '')) {
      files.delete(file);
      files.set(file, inode ?? '');
    }
    return inode;
  }

  /** Undefined when it is no socket, or gone. */
  #inodeOf(pid: number, file: string): string | undefined {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`${this.#proc}/${pid}/fd/${file}`))?.[1];
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
