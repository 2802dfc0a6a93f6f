/** What is wrong on this host now, in words that say what to do. */
import type { Problem } from '@weft/proto';

/** Problems that stand now, by code and subject; shown by `weft status` and reported to control. */
export interface Problems {
  raise(problem: Problem): void;
  clear(code: string, subject: string): void;
  readonly current: readonly Problem[];
}

/** Those by which a part of the agent file is not in force. */
export const NOT_IN_FORCE: ReadonlySet<string> = new Set([
  'gateway-listen',
  'gateway-not-allowed',
  'match-no-user',
  'match-not-enforced',
  'service-not-allowed',
  'service-not-declared',
  'target-not-declared',
]);

/** How long a problem that mends by itself stands after it was last met. */
const PASSING_MS = 10_000;

/**
 * Answers what is to be called each time the problem is met, with other words where it has come to be another. It stands from the first
 * time to a while after the last.
 */
export function passing(problems: Problems, problem: Problem): (message?: string) => void {
  let standing: NodeJS.Timeout | undefined;
  let said = problem.message;
  return (message = said) => {
    if (standing !== undefined && message === said) {
      standing.refresh();
      return;
    }
    said = message;
    problems.raise({ ...problem, message });
    clearTimeout(standing);
    standing = setTimeout(() => {
      standing = undefined;
      problems.clear(problem.code, problem.subject);
    }, PASSING_MS).unref();
  };
}
