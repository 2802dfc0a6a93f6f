/** The thread that finds out who makes calls: it asks the kernel and waits for it, which the byte path must not. */
import { setTimeout as rest } from 'node:timers/promises';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { CallerSocket, Owner, OwnerRule, ProcessOwner } from '../words/owner.ts';
import { requireProgram } from '../words/program.ts';
import { Diagnosis } from './diagnosis.ts';
import { OwnerFinder } from './finder.ts';
import { type KernelSockets, PROVE_AGAIN_MS, provenKernel } from './kernel-sockets.ts';
import type { Learned } from './learned.ts';
import { mayHaveNetlink } from './netlink-calls.ts';
import { type PortHolder, type PortPlace, portHolders } from './port-holders.ts';
import type { FoundSocket } from './socket-tables.ts';

/** What it is begun with. */
export interface OwnerThreadData {
  /** Of what begins it. */
  readonly program: string;
  /** Whether what reaches under Node is wanted. */
  readonly native: boolean;
}

/** One question at a time. */
export interface ToOwnerThread {
  /** Where they have changed. */
  readonly rules?: readonly OwnerRule[];
  /** The caller by a number of this question's own, and its socket, where that was found. */
  readonly callers: readonly (readonly [number, CallerSocket, FoundSocket | undefined])[];
  /** In place of them, a process by its number: answered by LookedAt, whatever else is asked. */
  readonly process?: number;
  /** Or places, by a number of this question's own: answered by FoundHolders. */
  readonly places?: readonly [number, readonly PortPlace[]];
}

export interface FromOwnerThread {
  /** By the numbers of the callers; each is told once, some not with their question. */
  readonly owners: readonly (readonly [number, Owner, Learned | undefined])[];
  /** Whether the next question may come. */
  readonly next: boolean;
  /** Users, by name, of whom not all could be looked at who may serve. */
  readonly unlooked: readonly string[];
}

/** What was found of the process of that number; undefined where there is none. */
export interface LookedAt {
  readonly process: number;
  readonly found: ProcessOwner | undefined;
}

/** Who has the places that were asked for. */
export interface FoundHolders {
  readonly asked: number;
  readonly holders: readonly (PortHolder | undefined)[];
}

async function proveAgain(diagnosis: Diagnosis): Promise<void> {
  for (;;) {
    await rest(PROVE_AGAIN_MS, undefined, { ref: false });
    const kernel = await provenKernel();
    if (kernel === undefined) continue;
    diagnosis.take(kernel);
    return;
  }
}

function serve(main: MessagePort, native: boolean, kernel: KernelSockets | undefined): void {
  const diagnosis = new Diagnosis(undefined, undefined, kernel);
  diagnosis.begin();
  if (kernel === undefined && native && mayHaveNetlink()) void proveAgain(diagnosis);
  const finder = new OwnerFinder(diagnosis);
  let known: (readonly [number, Owner, Learned | undefined])[] = [];
  const tell = (next: boolean) => {
    if (known.length === 0 && !next) return;
    main.postMessage({ owners: known, next, unlooked: finder.unlooked } satisfies FromOwnerThread);
    known = [];
  };
  main.on('message', ({ rules, callers, process, places }: ToOwnerThread) => {
    if (rules !== undefined) finder.follow(rules);
    if (places !== undefined) {
      const [asked, all] = places;
      void portHolders(all).then((holders) => main.postMessage({ asked, holders } satisfies FoundHolders));
      return;
    }
    if (process !== undefined) {
      void finder.look(process).then((found) => main.postMessage({ process, found } satisfies LookedAt));
      return;
    }
    const all = callers.map(([, caller]) => caller);
    const seen = callers.map(([, , socket]) => socket);
    const answered = (at: number, owner: Owner, learned?: Learned) => {
      const [number] = callers[at] ?? [];
      if (number === undefined) return;
      // Those of one turn are told together.
      if (known.push([number, owner, learned]) === 1) setImmediate(() => tell(false));
    };
    // What fails ends the thread: whoever waits hears of that, and begins another.
    void finder.answer(all, answered, seen).then(() => tell(true));
  });
}

if (parentPort !== null) {
  const { program, native } = workerData as OwnerThreadData;
  requireProgram(program);
  serve(parentPort, native, native ? await provenKernel() : undefined);
}
