/**
 * What of control cannot be written just now: a problem that stands until it can be again. A change that is refused says so by
 * itself; this is for who looks at control, and for what is lost without anybody being refused, such as records of flows.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFileNow } from '@weft/proto/files';
import type { Logger } from 'pino';

export type Written = 'data' | 'flows';

export const DISK_PROBLEMS = ['data-not-written', 'flows-not-written'] as const;

export interface DiskProblem {
  /** Stable identifier. */
  readonly code: (typeof DISK_PROBLEMS)[number];
  /** What is wrong and what to do. */
  readonly message: string;
  /** Of the first failure in a row, milliseconds since the Unix epoch. */
  readonly sinceMs: number;
}

export interface DiskWatchOptions {
  /** Control's own. */
  readonly directory: string;
  readonly logger: Logger;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Writes control's data as it is, and notes how that went: room alone does not make it writable. */
  readonly tryData: () => void;
}

/** A file of control's that is there for a moment. */
export const ROOM = 'room';
/** As much as a change or a few records take. A disk with less room to give would be full again at once. */
const ROOM_BYTES = 256 * 1024;
const LOOK_MS = 5_000;
/** What failed so lately may fail for another reason than room, and fails again soon. */
const QUIET_MS = 10_000;

const EFFECTS = {
  data: 'until it can, every change is refused, and nobody is let in or revoked',
  flows: 'until they can, they are lost',
} as const;

interface Failure extends DiskProblem {
  lastMs: number;
}

export class DiskWatch {
  readonly #options: DiskWatchOptions;
  readonly #failures = new Map<Written, Failure>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: DiskWatchOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  get problems(): readonly DiskProblem[] {
    return [...this.#failures.values()].map(({ code, message, sinceMs }) => ({ code, message, sinceMs }));
  }

  /** After each write: why it failed, or nothing. */
  note(what: Written, failure: string | undefined): void {
    const known = this.#failures.get(what);
    if (failure === undefined) {
      if (known !== undefined) this.#works(what);
      return;
    }
    const lastMs = this.#options.now();
    if (known !== undefined) {
      known.lastMs = lastMs;
      return;
    }
    const code = `${what}-not-written` as const;
    const subject = what === 'data' ? "control's data" : 'records of flows';
    const message = `${subject} cannot be written to ${this.#placeOf(what)}: ${failure}; ${EFFECTS[what]}. See to the disk`;
    this.#failures.set(what, { code, message, sinceMs: lastMs, lastMs });
    this.#options.logger.error({ event: 'disk-refuses', problem: code, reason: failure }, 'the disk takes nothing');
  }

  /** Whether it can be written again, though nobody does. */
  look(): void {
    const nowMs = this.#options.now();
    for (const [what, { lastMs }] of this.#failures) {
      if (Math.abs(nowMs - lastMs) < QUIET_MS || !takes(this.#placeOf(what))) continue;
      if (what === 'data') this.#options.tryData();
      else this.#works(what);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #works(what: Written): void {
    const failure = this.#failures.get(what);
    this.#failures.delete(what);
    this.#options.logger.info({ event: 'disk-takes', problem: failure?.code }, 'the disk takes writes again');
  }

  #placeOf(what: Written): string {
    const { directory } = this.#options;
    return what === 'data' ? directory : join(directory, 'flows');
  }
}

function takes(directory: string): boolean {
  const path = join(directory, ROOM);
  try {
    replaceFileNow(path, '0'.repeat(ROOM_BYTES));
    return true;
  } catch {
    return false;
  } finally {
    rmSync(path, { force: true });
  }
}
