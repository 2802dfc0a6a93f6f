/**
 * By whom else a socket may be held that its holder may have made: as the thread has found that looks at others, by those who would be taken for the same, and by a few who would not.
 * That stands for a moment, and while no other process has begun and none has come into the control group. The few are looked at each time.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { Circle } from './holders.ts';
import { lastIn } from './processes.ts';
import { StillProcess } from './still-process.ts';

/** All who may hold what this process holds are taken for the same as it, but for the strangers of the circle. */
export interface Alike {
  readonly pid: number;
  readonly began: number;
  /** What for: see `keyOf`. */
  readonly key: string;
  readonly circle: Circle;
  /** By `clockMs`. */
  readonly untilMs: number;
  /** By the rules that were followed as so many-th. */
  readonly rules: number;
}

/** Of one set of services, whatever fits. */
export function keyOf(fits: readonly string[]): string {
  return fits.join();
}

/** The same in all threads of the process. */
export function clockMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

const MOST_KNOWN = 256;
/** Each takes up to eight files of this process. */
const MOST_STRANGERS = 16;
const buffer = Buffer.allocUnsafe(256);

export class KnownAlike {
  readonly #proc: string;
  readonly #known = new Map<number, Alike>();
  /** Those who are not alike, by number: good for as long as nobody else has begun. */
  readonly #strangers = new Map<number, StillProcess>();
  /** The last that had begun when that was found. */
  #asOf = Number.NaN;
  /** Of the file that tells which began last. */
  #file: number | undefined;

  constructor(proc = '/proc') {
    this.#proc = proc;
  }

  learn(alike: Alike): void {
    const { last } = alike.circle;
    if (last !== this.#asOf || this.#known.size >= MOST_KNOWN) this.clear();
    this.#asOf = last;
    this.#known.set(alike.pid, alike);
  }

  /** What was found by other rules, or of others, is found no more. */
  clear(): void {
    this.#known.clear();
    for (const stranger of this.#strangers.values()) stranger.close();
    this.#strangers.clear();
  }

  /**
   * Whether none but its like may hold this socket of the process, which is taken for `key`. `members`: of its control group, as `membersOf` tells them.
   */
  holds(
    { pid, began }: Pick<Alike, 'pid' | 'began'>,
    inode: string,
    key: string,
    members: () => string | undefined,
  ): boolean {
    const known = this.#known.get(pid);
    if (known === undefined) return false;
    if (this.#last() !== this.#asOf) {
      this.clear();
      return false;
    }
    const { circle } = known;
    const isSame = known.began === began && known.key === key && clockMs() < known.untilMs;
    if (isSame && members() === circle.members) return circle.strangers.every((one) => !this.#mayHold(one, inode));
    this.#known.delete(pid);
    return false;
  }

  close(): void {
    this.clear();
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #mayHold(pid: number, inode: string): boolean {
    const stranger = this.#strangers.get(pid) ?? new StillProcess(pid, this.#proc);
    this.#strangers.set(pid, stranger);
    const [oldest] = this.#strangers;
    if (oldest !== undefined && this.#strangers.size > MOST_STRANGERS) {
      oldest[1].close();
      this.#strangers.delete(oldest[0]);
    }
    return stranger.holds(inode) !== false;
  }

  #last(): number | undefined {
    try {
      this.#file ??= openSync(`${this.#proc}/loadavg`, 'r');
      return lastIn(buffer.toString('latin1', 0, readSync(this.#file, buffer, 0, buffer.length, 0)));
    } catch {
      return undefined;
    }
  }
}
