/** The thread that finds out who makes calls: it asks the kernel and waits for it, which the byte path must not. */
import { isDeepStrictEqual } from 'node:util';
import { type MessagePort, parentPort } from 'node:worker_threads';
import type { CallerSocket, Owner, OwnerRule, ProcessOwner, TakenPlace } from '../words/owner.ts';
import { Diagnosis } from './diagnosis.ts';
import { OwnerFinder } from './finder.ts';

/** One question at a time. */
export interface ToOwnerThread {
  /** Where they have changed. */
  readonly rules?: readonly OwnerRule[];
  /** The caller by a number of this question's own. */
  readonly callers: readonly (readonly [number, CallerSocket])[];
  /** In place of them, a process by its number: answered by LookedAt, whatever else is asked. */
  readonly process?: number;
}

export interface FromOwnerThread {
  /** By the numbers of the callers; each is told once, some not with their question. */
  readonly owners: readonly (readonly [number, Owner])[];
  /** Whether the next question may come. */
  readonly next: boolean;
  /** All of them, where they are others than were told last. */
  readonly taken?: readonly TakenPlace[];
}

/** What was found of the process of that number; undefined where there is none. */
export interface LookedAt {
  readonly process: number;
  readonly found: ProcessOwner | undefined;
}

function serve(main: MessagePort): void {
  const diagnosis = new Diagnosis();
  diagnosis.begin();
  const finder = new OwnerFinder(diagnosis);
  let known: (readonly [number, Owner])[] = [];
  /** Undefined by rules by which nothing was told. */
  let told: readonly TakenPlace[] | undefined = [];
  const tell = (next: boolean) => {
    if (known.length === 0 && !next) return;
    const { taken } = finder;
    const news = isDeepStrictEqual(taken, told) ? {} : { taken };
    told = taken;
    main.postMessage({ owners: known, next, ...news } satisfies FromOwnerThread);
    known = [];
  };
  main.on('message', ({ rules, callers, process }: ToOwnerThread) => {
    if (rules !== undefined) {
      finder.follow(rules);
      told = undefined;
    }
    if (process !== undefined) {
      void finder.look(process).then((found) => main.postMessage({ process, found } satisfies LookedAt));
      return;
    }
    const all = callers.map(([, caller]) => caller);
    const answered = (at: number, owner: Owner) => {
      const [number] = callers[at] ?? [];
      if (number === undefined) return;
      // Those of one turn are told together.
      if (known.push([number, owner]) === 1) setImmediate(() => tell(false));
    };
    // What fails ends the thread: whoever waits hears of that, and begins another.
    void finder.answer(all, answered).then(() => tell(true));
  });
}

if (parentPort !== null) serve(parentPort);
