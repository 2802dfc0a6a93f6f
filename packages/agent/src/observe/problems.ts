/** Problems that stand now. A problem raised again only changes its words; clearing what does not stand does nothing. */
import { entryOf, type Problem, WIRE_LIMITS } from '@weft/proto';
import type { Problems } from '../words/problems.ts';

type ProblemLog = { readonly [Level in 'warn' | 'info']: (fields: object, sentence: string) => void };

export class ProblemBoard implements Problems {
  readonly #log: ProblemLog;
  readonly #standing = new Map<string, Problem>();
  readonly #changed: () => void;
  #overflowing: boolean = false;

  /** `changed` is told whenever the set of problems, or the words of one, did change. */
  constructor(log: ProblemLog, changed: () => void = () => {}) {
    this.#log = log;
    this.#changed = changed;
  }

  raise(problem: Problem): void {
    const key = keyOf(problem.code, problem.subject);
    const before = this.#standing.get(key);
    if (before?.message === problem.message) return;
    if (before === undefined && this.#standing.size >= WIRE_LIMITS.problems) {
      // Said once: whoever keeps raising the 257th would fill the log instead.
      if (!this.#overflowing)
        this.#log.warn({ event: 'problems-full', limit: WIRE_LIMITS.problems }, 'further problems are not listed');
      this.#overflowing = true;
      return;
    }
    this.#standing.set(key, problem);
    this.#log.warn({ event: 'problem', code: problem.code, subject: problem.subject }, problem.message);
    this.#changed();
  }

  clear(code: string, subject: string): void {
    if (!this.#standing.delete(keyOf(code, subject))) return;
    this.#overflowing = false;
    this.#log.info({ event: 'problem-solved', code, subject }, 'problem solved');
    this.#changed();
  }

  /** By code, then subject. */
  get current(): readonly Problem[] {
    return [...this.#standing.entries()]
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([, problem]) => problem);
  }
}

/** Problems of several threads on one board: one stands while any thread raises it, and is told once. */
export class ProblemSources {
  readonly #board: Problems;
  /** Who raises what, by code and subject; the words of the first that still does are shown. */
  readonly #raised = new Map<string, Map<number, Problem>>();

  constructor(board: Problems) {
    this.#board = board;
  }

  /** The board as one thread may use it. */
  of(source: number): Problems {
    const board = this.#board;
    return {
      raise: (problem) => this.#raise(source, problem),
      clear: (code, subject) => this.#clear(source, code, subject),
      get current() {
        return board.current;
      },
    };
  }

  /** All that one thread raises now; what it raised before and does not any more is cleared. */
  replace(source: number, problems: readonly Problem[]): void {
    const standing = new Set(problems.map(({ code, subject }) => keyOf(code, subject)));
    for (const [key, raisers] of [...this.#raised]) {
      const problem = raisers.get(source);
      if (problem !== undefined && !standing.has(key)) this.#clear(source, problem.code, problem.subject);
    }
    for (const problem of problems) this.#raise(source, problem);
  }

  #raise(source: number, problem: Problem): void {
    const raisers = entryOf(this.#raised, keyOf(problem.code, problem.subject), () => new Map<number, Problem>());
    this.#show(raisers.set(source, problem));
  }

  #clear(source: number, code: string, subject: string): void {
    const key = keyOf(code, subject);
    const raisers = this.#raised.get(key);
    if (raisers?.delete(source) !== true) return;
    if (raisers.size > 0) {
      this.#show(raisers);
      return;
    }
    this.#raised.delete(key);
    this.#board.clear(code, subject);
  }

  #show(raisers: ReadonlyMap<number, Problem>): void {
    const [first] = raisers.values();
    if (first !== undefined) this.#board.raise(first);
  }
}

function keyOf(code: string, subject: string): string {
  return `${code} ${subject}`;
}
