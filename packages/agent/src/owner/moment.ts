/**
 * Looks at others than the holders that are taken in one moment, for all services that are asked about together: each is at all processes that have begun since
 * the last moment, and they share what time there is.
 */
import type { Processes } from './processes.ts';

/** All of them may take so much of the time since the last, and no longer than this. */
const LOOKS_SHARE = 0.05;
const MOST_LOOKS_MS = 25;
/** Newcomers that are kept for the next moment, where looks did not come to them. */
const MOST_KEPT = 256;

export class Moment {
  /** Found before, the newest first. */
  readonly kept: readonly number[];
  readonly #find: () => readonly number[];
  #found: readonly number[] | undefined;
  #looks: number;
  #leftMs: number;
  #begunMs = 0;
  /** When the last look ended. */
  #lookedMs: number;
  /** Newcomers that the look has passed, and that each of those before has. */
  #passed = 0;
  #passedByAll: number | undefined;

  /** `find`: those that have begun since it was called last. */
  constructor(find: () => readonly number[], kept: readonly number[], looks: number, nowMs: number, lookedMs: number) {
    this.#find = find;
    this.kept = kept;
    this.#looks = looks;
    this.#leftMs = Math.min(MOST_LOOKS_MS, LOOKS_SHARE * (nowMs - lookedMs));
    this.#lookedMs = lookedMs;
  }

  get lookedMs(): number {
    return this.#lookedMs;
  }

  /** Those that have begun since the last moment, the newest first. */
  get found(): readonly number[] {
    this.#found ??= this.#find();
    return this.#found;
  }

  /** Some look did not come to them. */
  get unreached(): readonly number[] {
    return [...(this.#found ?? []), ...this.kept].slice(this.#passedByAll ?? 0);
  }

  /** In place of the one look that was to come next there are so many. */
  divide(looks: number): void {
    this.#looks += looks - 1;
  }

  /** A look begins. Answers until when it may go on. */
  begin(nowMs: number): number {
    this.#begunMs = nowMs;
    this.#passed = 0;
    return nowMs + this.#leftMs / Math.max(1, this.#looks);
  }

  /** For the look that goes on. */
  *newcomers(): Generator<number> {
    for (const all of [this.found, this.kept])
      for (const pid of all) {
        yield pid;
        this.#passed++;
      }
  }

  end(nowMs: number): void {
    this.#looks--;
    this.#leftMs = Math.max(0, this.#leftMs - (nowMs - this.#begunMs));
    this.#lookedMs = nowMs;
    this.#passedByAll = Math.min(this.#passed, this.#passedByAll ?? this.#passed);
  }
}

export class Moments {
  readonly #processes: Pick<Processes, 'newcomers'>;
  #last: Moment | undefined;
  /** Beside what the last one has left. */
  #kept: readonly number[] = [];

  constructor(processes: Pick<Processes, 'newcomers'>) {
    this.#processes = processes;
  }

  /** For so many looks, as far as is known. */
  begin(looks: number, nowMs: number): Moment {
    const kept = [...this.#kept, ...(this.#last?.unreached ?? [])].slice(0, MOST_KEPT);
    this.#kept = [];
    const lookedMs = this.#last?.lookedMs ?? Number.NEGATIVE_INFINITY;
    this.#last = new Moment(() => this.#processes.newcomers(), kept, looks, nowMs, lookedMs);
    return this.#last;
  }

  /** Those that began and were found otherwise. */
  keep(found: readonly number[]): void {
    this.#kept = [...found, ...this.#kept].slice(0, MOST_KEPT);
  }
}
