/** Resident memory of a program, with all processes it started. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export const MIB = 1024 * 1024;
export const KIB = 1024;

/** VmRSS of the process and its descendants, bytes. Throws when it is gone. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const own = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (own === undefined) throw new Error(`process ${pid} has ended`);
  return Number(own) * KIB + children(pid).reduce((sum, child) => sum + residentBytes(child), 0);
}

/** Any thread may have started a process. */
function children(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')
      .split(' ')
      .filter((word) => word.trim() !== '')
      .map(Number),
  );
}

/** The least it held in that time: what it keeps, without what one reading caught in passing. */
export async function settledBytes(pid: number, milliseconds: number, signal: AbortSignal): Promise<number> {
  const deadline = Date.now() + milliseconds;
  let least = residentBytes(pid);
  while (Date.now() < deadline) {
    await sleep(250, undefined, { signal });
    least = Math.min(least, residentBytes(pid));
  }
  return least;
}

/** Watches several processes until it is disposed of. */
export class PeakWatch implements Disposable {
  readonly #pids: readonly number[];
  readonly #peaks: number[];
  readonly #timer: NodeJS.Timeout;

  constructor(pids: readonly number[], everyMs = 50) {
    this.#pids = pids;
    this.#peaks = pids.map(residentBytes);
    this.#timer = setInterval(() => this.#look(), everyMs);
  }

  /** The most that each has held so far, bytes. */
  get peaks(): readonly number[] {
    this.#look();
    return this.#peaks;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    for (const [index, pid] of this.#pids.entries()) {
      try {
        this.#peaks[index] = Math.max(this.#peaks[index] ?? 0, residentBytes(pid));
      } catch {
        // It has ended, and the measurement that needs it says so better.
      }
    }
  }
}
