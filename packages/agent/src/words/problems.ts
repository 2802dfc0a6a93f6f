/** What is wrong on this host now, in words that say what to do. */
import type { Problem } from '@weft/proto';

/** Problems that stand now, by code and subject; shown by `weft status` and reported to control. */
export interface Problems {
  raise(problem: Problem): void;
  clear(code: string, subject: string): void;
  readonly current: readonly Problem[];
}
