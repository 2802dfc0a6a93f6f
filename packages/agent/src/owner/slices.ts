/** Long work a little at a time, with as long a rest after each, so that what is quick need not wait for it. */
import { setTimeout as rest } from 'node:timers/promises';

const SLICE_MS = 4;

/** What the work comes to. It yields often. */
export async function inSlices<T>(work: Generator<void, T>): Promise<T> {
  for (let begun = performance.now(); ; ) {
    const { done, value } = work.next();
    if (done) return value;
    if (performance.now() - begun < SLICE_MS) continue;
    await rest(SLICE_MS);
    begun = performance.now();
  }
}
