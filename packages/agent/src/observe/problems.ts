/** Problems that stand now. A problem raised again only changes its words; clearing what does not stand does nothing. */
import { type Problem, WIRE_LIMITS } from '@weft/proto';
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

function keyOf(code: string, subject: string): string {
  return `${code} ${subject}`;
}
