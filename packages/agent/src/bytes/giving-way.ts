/**
 * A thread that carries bulk hardly sleeps, and what is small waits for its core until the kernel takes that away, which is looked at with each tick: 4 ms
 * where there are 250 a second. While small flows are another thread's, it gives way behind each full read instead.
 */
import { nativeCalls } from './inside/known.ts';

let gives = false;

/** Whether this thread does, from now on. */
export function giveWay(give: boolean): void {
  gives = give;
}

export function givesWay(): boolean {
  return gives;
}

/** Costs nothing where no other waits for the core. */
export function passBehindBulk(): void {
  if (gives) nativeCalls()?.giveWay();
}
