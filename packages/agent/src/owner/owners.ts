/** Who makes a call: told at once where that can be, else asked of a thread that is begun with the first question. Whoever cannot be known in time is unknown. */
import { extname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Worker } from 'node:worker_threads';
import { byText, listed, messageOf } from '@weft/proto';
import type { Logger } from 'pino';
import { type CallerSocket, type LookedFor, type Owner, type OwnerRule, UNKNOWN_OWNER } from '../words/owner.ts';
import { type Problems, passing } from '../words/problems.ts';
import { PROGRAM, wasReplaced } from '../words/program.ts';
import { FirstLook, type Unnamed } from './first-look.ts';
import { type KernelSockets, PROVE_AGAIN_MS, provenKernel } from './kernel-sockets.ts';
import type { SpareFiles } from './known-holders.ts';
import { mayHaveNetlink } from './netlink-calls.ts';
import type { FoundHolders, FromOwnerThread, LookedAt, OwnerThreadData, ToOwnerThread } from './owner-thread.ts';
import type { PortHolder, PortPlace } from './port-holders.ts';
import type { FoundSocket } from './socket-tables.ts';

/** Beside this file, in the form that this file has: source, built, or bundled. */
const ENTRY = new URL(`./owner-thread${extname(import.meta.url)}`, import.meta.url);

/** Callers that wait at once; of more, nobody is known. */
export const MOST_CALLERS = 4_096;
/** Callers in one question. */
const MOST_ASKED = 512;
/** Asked again within so long, calls come fast, and wait so long for others. */
const FAST_MS = 4;
const GATHER_MS = 2;
/** A caller waits no longer. */
const WAIT_MS = 2_000;
/** Who asks about a process waits no longer. */
const LOOK_MS = 4_000;
/** A thread that answers nothing for so long is ended. */
const STUCK_MS = 10_000;
/** Users that a message names. */
const NAMED = 4;
/** After one has failed, no other thread is begun sooner. */
const AGAIN_MS = 1_000;

export interface OwnersOptions {
  readonly problems: Problems;
  readonly log: Logger;
  /** Ends the thread. */
  readonly signal: AbortSignal;
  /** Whether what reaches under Node is wanted. */
  readonly native: boolean;
  readonly files: SpareFiles;
  /** What the thread runs, where it is not the usual. */
  readonly entry?: URL;
  /** What it is told that begins it, where that is not this one. */
  readonly program?: string;
  /** How long a caller waits, where that is not the usual. */
  readonly waitMs?: number;
  readonly prove?: () => ReturnType<typeof provenKernel>;
  readonly proveAgainMs?: number;
}

interface Asked {
  readonly caller: CallerSocket;
  /** Where this thread has found it. */
  readonly socket: FoundSocket | undefined;
  readonly answer: (owner: Owner) => void;
  readonly late: NodeJS.Timeout;
  /** What the thread calls it. */
  number: number | undefined;
}

export class Owners {
  readonly #options: OwnersOptions;
  readonly #failed: () => void;
  readonly #crowded: (message: string) => void;
  #waiting: Asked[] = [];
  /** Those that the thread knows of, by their numbers. */
  readonly #out = new Map<number, Asked>();
  /** Who asks about processes, by their numbers. */
  readonly #looks = new Map<number, Set<(found: LookedFor) => void>>();
  /** Who asks about places, by the question's number. */
  readonly #places = new Map<number, (found: FoundHolders['holders']) => void>();
  /** Undefined until this thread is proven to come to the kernel itself, and where it does not. */
  #first: FirstLook | undefined;
  /** Before that, the kernel is not proven anew. */
  #proveFromMs = Number.NEGATIVE_INFINITY;
  /** Whether it was told that it is not. */
  #unproven: boolean = false;
  #next = 0;
  /** Whether the thread is at a question. */
  #asking: boolean = false;
  #thread: Worker | undefined;
  #rules: readonly OwnerRule[] = [];
  #told: boolean = false;
  #askedMs = Number.NEGATIVE_INFINITY;
  #stuck: NodeJS.Timeout | undefined;
  #endedMs = Number.NEGATIVE_INFINITY;
  #againMs = AGAIN_MS;

  constructor(options: OwnersOptions) {
    this.#options = options;
    this.#failed = passing(options.problems, {
      code: 'callers-unknown',
      subject: 'owners',
      message:
        'which programs make the calls of this host could not be found out in time, so some were taken for no service of it, ' +
        'which denies more; see to what else is told of this host, such as too few files or a busy processor',
    });
    this.#crowded = passing(options.problems, { code: 'callers-unknown', subject: 'files', message: '' });
    options.signal.addEventListener('abort', () => this.#end(), { once: true });
  }

  /** From now on. The same again is none: what the thread has found by them would be lost. */
  follow(rules: readonly OwnerRule[]): void {
    if (isDeepStrictEqual(rules, this.#rules)) return;
    this.#rules = rules;
    this.#first?.follow(rules);
    this.#told = false;
  }

  /** At once where it can be told. Never rejects. */
  find(caller: CallerSocket): Owner | Promise<Owner> {
    if (this.#options.signal.aborted) return UNKNOWN_OWNER;
    this.#prove();
    const seen = this.#first?.look(caller);
    if (seen !== undefined && 'sockets' in seen) return seen;
    const full = this.#waiting.length + this.#out.size >= MOST_CALLERS;
    if (seen !== undefined && 'owner' in seen) return full ? seen.owner : this.#named(caller, seen);
    if (full) {
      this.#failed();
      return UNKNOWN_OWNER;
    }
    return this.#asked(caller, seen, this.#failed);
  }

  /** Nobody waits for its process, and what goes wrong with the thread that is asked for that takes nothing else of it. */
  #named(caller: CallerSocket, { owner, socket }: Unnamed): Owner {
    const named: { -readonly [Key in keyof Owner]: Owner[Key] } = { ...owner, naming: undefined };
    named.naming = this.#asked(caller, socket, () => undefined).then(({ sockets, pid, program, unit }) => {
      if (sockets === owner.sockets) Object.assign(named, { pid, program, unit });
      named.naming = undefined;
    });
    return named;
  }

  #asked(caller: CallerSocket, socket: FoundSocket | undefined, failed: () => void): Promise<Owner> {
    return new Promise((resolve) => {
      const giveUp = () => {
        const waits = asked.number === undefined ? this.#waiting.includes(asked) : this.#out.delete(asked.number);
        if (!waits) return;
        this.#waiting = this.#waiting.filter((each) => each !== asked);
        failed();
        resolve(UNKNOWN_OWNER);
      };
      // What held up this thread held up the reading of answers too: one that came in time is read before that.
      const late = setTimeout(() => setImmediate(giveUp), this.#options.waitMs ?? WAIT_MS);
      const askedMs = performance.now();
      const asked: Asked = { caller, socket, late, answer: resolve, number: undefined };
      this.#waiting.push(asked);
      if (this.#waiting.length > 1) return;
      // Those of one turn are asked for together, and those of some turns when calls come fast: each question wakes two threads and a program.
      if (askedMs - this.#askedMs > FAST_MS) setImmediate(() => this.#ask());
      else setTimeout(() => this.#ask(), GATHER_MS);
    });
  }

  /** Before anybody is asked about: the thread takes its time to begin, and a caller waits no longer than for an answer. */
  warm(): void {
    this.#prove();
    if (this.#thread === undefined) void this.look(process.pid);
  }

  /** The caller's socket is closed by now, most likely: its process has the file's number for the next. */
  left({ pid, sockets }: Owner): void {
    if (pid !== undefined) this.#first?.left(pid, sockets);
  }

  /** What that process would be taken for if it called now. Never rejects. */
  async look(pid: number): Promise<LookedFor> {
    const thread = this.#begun();
    if (thread === undefined) return 'not-looked-at';
    const question: ToOwnerThread = { ...this.#news(), callers: [], process: pid };
    const { promise, resolve } = Promise.withResolvers<LookedFor>();
    const late = setTimeout(() => resolve('not-looked-at'), LOOK_MS);
    const asking = this.#looks.get(pid) ?? new Set();
    this.#looks.set(pid, asking.add(resolve));
    thread.postMessage(question);
    try {
      return await promise;
    } finally {
      clearTimeout(late);
      asking.delete(resolve);
      if (asking.size === 0 && this.#looks.get(pid) === asking) this.#looks.delete(pid);
    }
  }

  /** Who has these places; none is told where nobody can be asked, or not in time. Never rejects. */
  async holders(places: readonly PortPlace[]): Promise<readonly (PortHolder | undefined)[]> {
    const thread = this.#begun();
    if (thread === undefined) return [];
    const number = this.#next++;
    const question: ToOwnerThread = { ...this.#news(), callers: [], places: [number, places] };
    const { promise, resolve } = Promise.withResolvers<FoundHolders['holders']>();
    const late = setTimeout(() => resolve([]), LOOK_MS);
    this.#places.set(number, resolve);
    thread.postMessage(question);
    const found = await promise;
    clearTimeout(late);
    this.#places.delete(number);
    return found;
  }

  #prove(): void {
    const { native, prove = provenKernel, proveAgainMs = PROVE_AGAIN_MS } = this.#options;
    if (this.#first !== undefined || !native) return;
    const now = performance.now();
    if (now < this.#proveFromMs) return;
    this.#proveFromMs = Number.POSITIVE_INFINITY;
    void prove().then((kernel) => {
      if (kernel !== undefined) this.#proven(kernel);
      else if (mayHaveNetlink()) {
        this.#proveFromMs = performance.now() + proveAgainMs;
        this.#tellUnproven();
      }
    });
  }

  #proven(kernel: KernelSockets): void {
    const { signal, files, log } = this.#options;
    if (signal.aborted) {
      kernel.close();
      return;
    }
    this.#first = new FirstLook(kernel, files);
    this.#first.follow(this.#rules);
    if (this.#unproven)
      log.info({ event: 'callers-by-kernel' }, 'the kernel is asked who calls here by the thread that takes the call');
  }

  #tellUnproven(): void {
    if (this.#unproven) return;
    this.#unproven = true;
    const message =
      "the kernel cannot be asked who calls by the thread that takes the call, or tells of this agent's own sockets otherwise than is so, as without tcp_diag, " +
      'so another thread is asked, which takes longer; it is tried again each minute';
    this.#options.log.warn({ event: 'callers-by-thread' }, message);
  }

  #looked(pid: number, found: LookedFor): void {
    for (const resolve of this.#looks.get(pid) ?? []) resolve(found);
    this.#looks.delete(pid);
  }

  /** What the thread does not know yet. */
  #news(): Pick<ToOwnerThread, 'rules'> {
    const news = this.#told ? {} : { rules: this.#rules };
    this.#told = true;
    return news;
  }

  #ask(): void {
    if (this.#asking || this.#waiting.length === 0) return;
    const thread = this.#begun();
    const asked = this.#waiting.splice(0, MOST_ASKED);
    if (thread === undefined) {
      for (const each of asked) settle(each, UNKNOWN_OWNER);
      this.#ask();
      return;
    }
    const callers = asked.map((each) => {
      const number = this.#next++;
      each.number = number;
      this.#out.set(number, each);
      return [number, each.caller, each.socket] as const;
    });
    const question: ToOwnerThread = { ...this.#news(), callers };
    this.#asking = true;
    this.#askedMs = performance.now();
    thread.postMessage(question);
    this.#stuck = setTimeout(() => void thread.terminate(), STUCK_MS).unref();
  }

  #answered({ owners, next, unlooked }: FromOwnerThread): void {
    if (unlooked.length > 0) this.#crowded(tooManyFiles(unlooked));
    for (const [number, owner, learned] of owners) {
      const asked = this.#out.get(number);
      this.#out.delete(number);
      // One that waited too long has its answer.
      if (asked === undefined) continue;
      if (learned !== undefined) this.#first?.learn(learned);
      settle(asked, owner);
    }
    if (!next) return;
    clearTimeout(this.#stuck);
    this.#asking = false;
    this.#ask();
  }

  /** Nobody is known of those that the thread was asked about. */
  #forsaken(): void {
    this.#answered({
      owners: [...this.#out.keys()].map((number) => [number, UNKNOWN_OWNER, undefined] as const),
      next: true,
      unlooked: [],
    });
    for (const pid of [...this.#looks.keys()]) this.#looked(pid, 'not-looked-at');
    for (const resolve of this.#places.values()) resolve([]);
  }

  #begun(): Worker | undefined {
    if (this.#thread !== undefined) return this.#thread;
    if (this.#options.signal.aborted || performance.now() - this.#endedMs < this.#againMs) return undefined;
    let thread: Worker;
    try {
      const { program = PROGRAM, native } = this.#options;
      const workerData: OwnerThreadData = { program, native };
      thread = new Worker(this.#options.entry ?? ENTRY, { name: 'weft owners', workerData });
    } catch (err) {
      // As where the system lets this user have no more threads.
      this.#endedMs = performance.now();
      this.#options.log.error({ event: 'callers-unknown', err }, 'looking for the programs that call could not begin');
      this.#failed();
      return undefined;
    }
    this.#thread = thread;
    this.#told = false;
    thread.on('message', (told: FromOwnerThread | LookedAt | FoundHolders) => {
      if ('process' in told) this.#looked(told.process, told.found);
      else if ('asked' in told) this.#places.get(told.asked)?.(told.holders);
      else this.#answered(told);
    });
    thread.on('error', (err) => {
      this.#options.log.error({ event: 'callers-unknown', err }, 'looking for the programs that call failed');
      if (wasReplaced(err)) this.#replaced(err);
    });
    thread.on('exit', () => this.#lost(thread));
    thread.unref();
    return thread;
  }

  /** For good: none is begun again. */
  #replaced(err: unknown): void {
    this.#againMs = Number.POSITIVE_INFINITY;
    const message = `which programs make the calls of this host cannot be found out: ${messageOf(err)}`;
    this.#options.problems.raise({ code: 'callers-unknown', subject: 'program', message });
  }

  #lost(thread: Worker): void {
    if (thread !== this.#thread) return;
    this.#thread = undefined;
    this.#endedMs = performance.now();
    if (!this.#options.signal.aborted) this.#failed();
    this.#forsaken();
  }

  #end(): void {
    this.#first?.close();
    this.#first = undefined;
    const thread = this.#thread;
    this.#thread = undefined;
    this.#forsaken();
    void thread?.terminate();
  }
}

function tooManyFiles(users: readonly string[]): string {
  const whose = listed([...users].sort(byText), NAMED);
  return (
    `programs of ${whose} have more files open than can be looked through, so one of theirs that serves at a socket of systemd may not be known as its service, and ` +
    'its calls are taken for none, which denies more; let them have fewer open, or say by match in the agent file how the processes of that service are known'
  );
}

function settle({ late, answer }: Asked, owner: Owner): void {
  clearTimeout(late);
  answer(owner);
}
