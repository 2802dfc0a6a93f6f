/** What is wrong on this host now, in words that say what to do. */
import type { Problem } from '@weft/proto';

/** Problems that stand now, by code and subject; shown by `weft status` and reported to control. */
export interface Problems {
  raise(problem: Problem): void;
  clear(code: string, subject: string): void;
  readonly current: readonly Problem[];
}

/** How long a problem that mends by itself stands after it was last met. */
const PASSING_MS = 10_000;

/** Answers what is to be called each time the problem is met. It stands from the first time to a while after the last. */
export function passing(problems: Problems, problem: Problem): () => void {
  let standing: NodeJS.Timeout | undefined;
  return () => {
    if (standing !== undefined) {
      standing.refresh();
      return;
    }
    problems.raise(problem);
    standing = setTimeout(() => {
      standing = undefined;
      problems.clear(problem.code, problem.subject);
    }, PASSING_MS).unref();
  };
}
