/** Who a process descends from, as far as it may be taken for that. */
import type { ProcessFacts } from './process.ts';

/** A line of parents that is longer is cut there. */
const MOST_PARENTS = 64;

/**
 * The process and those it descends from, as long as the user is the same: a child of another user is no kin. Nor is one of another
 * systemd unit: a user's manager that listens in the place of a unit is none of the units that it starts.
 */
export function* lineOf(self: ProcessFacts, read: (pid: number) => ProcessFacts | undefined): Generator<ProcessFacts> {
  let last = self;
  for (let count = 0; count < MOST_PARENTS; count++) {
    yield last;
    const next = read(last.parent);
    // A parent is older. One that is not has the number of the parent that ended.
    if (next === undefined || next.uid !== last.uid || next.began > last.began || next.within !== last.within) return;
    last = next;
  }
}
