/** Where a look begins at what it sees in parts alone. */
import { randomInt } from 'node:crypto';

/**
 * All of them, from some place on and then those before it. Drawn for each look: by a count that several have in common they would keep step, and each see the
 * same part for good.
 */
export function fromSomewhere<T>(all: readonly T[]): readonly T[] {
  const begin = randomInt(all.length || 1);
  return [...all.slice(begin), ...all.slice(0, begin)];
}
