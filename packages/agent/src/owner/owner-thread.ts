/** The thread that finds out who makes calls: it asks the kernel and waits for it, which the byte path must not. */
import { type MessagePort, parentPort } from 'node:worker_threads';
import type { CallerSocket, Owner, OwnerRule } from '../words/owner.ts';
import { Diagnosis } from './diagnosis.ts';
import { OwnerFinder } from './finder.ts';

/** One question at a time. */
export interface ToOwnerThread {
  /** Where they have changed. */
  readonly rules?: readonly OwnerRule[];
  readonly callers: readonly CallerSocket[];
}

export type FromOwnerThread = readonly Owner[];

function serve(main: MessagePort): void {
  const diagnosis = new Diagnosis();
  const finder = new OwnerFinder((callers) => diagnosis.find(callers));
  main.on('message', ({ rules, callers }: ToOwnerThread) => {
    if (rules !== undefined) finder.follow(rules);
    // What fails ends the thread: whoever waits hears of that, and begins another.
    void finder.find(callers).then((owners) => main.postMessage(owners satisfies FromOwnerThread));
  });
}

if (parentPort !== null) serve(parentPort);
