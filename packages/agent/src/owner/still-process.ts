/**
 * Which sockets a process holds, read again only where it has run since: nobody but itself puts a file into its table, so one that sleeps holds what it held.
 * How often a thread was given a processor is in its schedstat (Documentation/scheduler/sched-stats.rst). Only good for as long as no thread begins.
 */
import { closeSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { readSmall } from './read-small.ts';
import { SpareTime } from './spare-time.ts';

const MOST_THREADS = 8;
const MOST_FILES = 64;
/** Of a kernel that does not count. */
const UNCOUNTED = /^0 0 0\b/;
const buffer = Buffer.allocUnsafe(256);

export class StillProcess {
  readonly #at: string;
  /** Files of the kernel's that tell how often its threads ran, and what they told when those slept. */
  readonly #slept = new Map<number, string>();
  /** Inodes. */
  #sockets: ReadonlySet<string> | undefined;
  readonly #toLook = new SpareTime();

  constructor(pid: number, proc = '/proc') {
    this.#at = `${proc}/${pid}`;
  }

  /** Whether it holds it now; undefined where that cannot be told, as of one with many files, or that runs all the time. */
  holds(inode: string): boolean | undefined {
    try {
      if (!this.#sleeps() && !this.#lookedAgain()) return undefined;
    } catch {
      // It has ended, or is hidden.
      this.close();
    }
    return this.#sockets?.has(inode);
  }

  close(): void {
    for (const file of this.#slept.keys()) closeSync(file);
    this.#slept.clear();
    this.#sockets = undefined;
  }

  /** Whether none of its threads has run since they slept. */
  #sleeps(): boolean {
    if (this.#slept.size === 0) return false;
    for (const [file, told] of this.#slept) if (read(file) !== told) return false;
    return true;
  }

  /** As far as that takes little of the time: one that runs again and again would be listed for each caller. */
  #lookedAgain(): boolean {
    const begun = performance.now();
    if (!this.#toLook.allows(begun)) return false;
    this.#look();
    const ended = performance.now();
    this.#toLook.spend(ended - begun, ended);
    return true;
  }

  #look(): void {
    this.close();
    const threads = readdirSync(`${this.#at}/task`);
    const asleep = threads.length <= MOST_THREADS && threads.every((thread) => this.#note(thread));
    const files = readdirSync(`${this.#at}/fd`);
    const sockets = files.length <= MOST_FILES ? new Set(files.flatMap((file) => this.#socket(file))) : undefined;
    // Looked at again each time.
    if (!asleep) this.close();
    this.#sockets = sockets;
  }

  /** Whether the thread slept after what is told of it was read: from then on it does, as long as that is told. */
  #note(thread: string): boolean {
    const file = openSync(`${this.#at}/task/${thread}/schedstat`, 'r');
    this.#slept.set(file, read(file));
    if (UNCOUNTED.test(this.#slept.get(file) ?? '')) return false;
    const stat = readSmall(`${this.#at}/task/${thread}/stat`);
    // proc_pid_stat(5): behind the name, which may hold anything.
    return stat[stat.lastIndexOf(')') + 2] === 'S';
  }

  #socket(file: string): readonly string[] {
    try {
      const link = readlinkSync(`${this.#at}/fd/${file}`);
      return link.startsWith('socket:[') ? [link.slice(8, -1)] : [];
    } catch {
      return [];
    }
  }
}

function read(file: number): string {
  return buffer.toString('latin1', 0, readSync(file, buffer, 0, buffer.length, 0));
}
