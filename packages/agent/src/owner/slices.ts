/** Long work a little at a time. */
import { setTimeout as rest } from 'node:timers/promises';

const SLICE_MS = 4;

/** What the work comes to, with a rest as long after each slice, so that what is quick need not wait for it. It yields often. */
export async function inSlices<T>(work: Generator<void, T>): Promise<T> {
  for (let begun = performance.now(); ; ) {
    const { done, value } = work.next();
    if (done) return value;
    if (performance.now() - begun < SLICE_MS) continue;
    await rest(SLICE_MS);
    begun = performance.now();
  }
}

/** A step of each in turn, until `isOver`. Answers whose work was not done then. Yields often. */
export function* inTurn<K>(works: ReadonlyMap<K, Generator<void, void>>, isOver: () => boolean): Generator<void, K[]> {
  const left = new Map(works);
  while (left.size > 0)
    for (const [whose, work] of left) {
      if (isOver()) return [...left.keys()];
      if (work.next().done) left.delete(whose);
      yield;
    }
  return [];
}
