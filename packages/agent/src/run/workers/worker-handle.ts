/** One worker, as the main thread has it. */
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { MessageChannel, Worker } from 'node:worker_threads';
import { defined, type OpenFlows, type OpenFlowsQuestion } from '@weft/proto';
import type { Logger } from 'pino';
import type { ThreadMeasures } from '../../observe/measures.ts';
import type { ThreadPulse } from '../../observe/telemetry.ts';
import type { Owner } from '../../words/owner.ts';
import { ENDING, type EndWatch, watchEnd } from './end-watch.ts';
import { mergeUpdates } from './merge-updates.ts';
import { MergingFeed } from './merging-feed.ts';
import type { FromWorker, ToWorker, Update, WorkerNumbers, WorkerStart } from './messages.ts';
import { threadProgram } from './program.ts';

/** What a worker says that is for the agent as a whole. */
export type WorkerNews = Extract<FromWorker, { readonly type: 'problems' | 'flows' | 'pulse' | 'find' }>;

/** What it has told last of each. */
interface Told {
  numbers?: WorkerNumbers;
  pulse?: ThreadPulse;
  measures?: ThreadMeasures;
}

/** An update is enforced in milliseconds. A thread that is stuck is no better than one that ended. */
const LOOK_MS = 5_000;
/** Looks in a row that find the same update under way; more than one, so that a host that slept is not taken for stuck. */
const STUCK_LOOKS = 3;
/** Of one that starts, for which others keep the cores busy, where it is looked at more often. */
const STUCK_STARTING_MS = 15_000;
/** What has an update for so long may be stuck. */
const LATE_MS = 250;
/** Longest time for handing over records at a stop, milliseconds. */
const STOP_MS = 2_000;
/** From when it carries nothing on: its last spans, and the end of its JavaScript. */
const LAST_MS = STOP_MS + 500;

const NO_FLOWS: OpenFlows = { flows: [], omitted: 0 };

/** As it was when this program began. */
export const THREAD_PROGRAM = threadProgram(import.meta.url);

export function tellUnbundled(log: Pick<Logger, 'warn'>): void {
  const { unbundled } = THREAD_PROGRAM;
  const message = `threads are slower to begin, for their code is in many files: ${unbundled}`;
  if (unbundled !== '') log.warn({ event: 'threads-not-bundled' }, message);
}

/** How a worker is found to be stuck: by looks in a row that find the same update under way. */
export interface StuckWatch {
  readonly lookMs: number;
  readonly stuckLooks: number;
}

export interface WorkerHandleOptions {
  /** What it runs, where that is not the usual. */
  readonly entry?: URL;
  readonly watch?: StuckWatch;
  readonly ending?: EndWatch;
  /** How long an agent that ends waits for one that has told that it is over, milliseconds. */
  readonly lastMs?: number;
}

export class WorkerHandle {
  /** Whether the agent cannot do without it. */
  readonly listens: boolean;
  readonly #name: string;
  readonly #worker: Worker;
  readonly #ready = Promise.withResolvers<void>();
  readonly #over = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #stopped = Promise.withResolvers<void>();
  readonly #failed = Promise.withResolvers<never>();
  /** Resolves when it takes flows. */
  readonly ready = this.#ready.promise;
  /** Rejects when it ends unasked, or is ended since it has not enforced an update, or answers nothing. */
  readonly failed = this.#failed.promise;
  /** Resolves when it has told, at a stop, that it carries nothing any more. */
  readonly over = this.#over.promise;
  /**
   * Resolves when its sockets are closed, however it ended. Node closes all of a thread by itself, a port too, before it waits for what the thread has asked
   * of its pool, which nobody can cancel: a name of which no resolver answers takes as long as there are servers, attempts and names to search.
   */
  readonly closed = this.#closed.promise;
  /** Resolves when nothing of it runs any more. */
  readonly gone: Promise<void>;
  readonly #feed: MergingFeed<Update>;
  readonly #waiting = new Map<number, PromiseWithResolvers<void>>();
  readonly #boundWaiters: { readonly serial: number; readonly resolve: () => void }[] = [];
  #serial = 0;
  #counts = 0;
  #bound = 0;
  /** When the update was sent that is under way. */
  #sentAt = 0;
  #starts: boolean = true;
  /** Whether the update that is under way is only a question whether it answers. */
  #asked: boolean = false;
  #ending: boolean = false;
  /** Whether it takes connections, or did. */
  #begun: boolean;
  /** Whether none lives on there: it has told that it is over, or is closed. */
  #isEmpty: boolean = false;
  readonly #endWatch: EndWatch;
  readonly #lastMs: number;
  #stopping: Promise<void> | undefined;
  /** Why, once it is over. */
  #ended: Error | undefined;
  readonly #watch: NodeJS.Timeout;
  readonly told: Readonly<Told> = {};
  /** Who waits for an answer: as many as ask for the agent's status at once, telemetry, and a scrape. */
  readonly #counting = new Map<number, () => void>();

  readonly #openFlows = new Map<number, (open: OpenFlows) => void>();

  constructor(
    start: WorkerStart,
    news: (message: WorkerNews) => void,
    {
      entry = THREAD_PROGRAM.entry,
      watch = { lookMs: LOOK_MS, stuckLooks: STUCK_LOOKS },
      ending = ENDING,
      lastMs = LAST_MS,
    }: WorkerHandleOptions = {},
  ) {
    this.listens = start.passed === undefined;
    this.#begun = this.listens;
    this.#endWatch = ending;
    this.#lastMs = lastMs;
    this.#name = `weft worker ${start.thread}`;
    const { port1: end, port2: held } = new MessageChannel();
    end.once('close', () => this.#emptied(this.#closed));
    this.#worker = new Worker(entry, {
      name: this.#name,
      workerData: { ...start, held },
      transferList: [held, ...(start.packets?.ports.filter((port) => port !== undefined) ?? [])],
    });
    this.#feed = new MergingFeed((update) => this.#enforce(update), mergeUpdates);
    // Told by `failed` to whoever runs the agent; nobody may wait for the others then.
    this.#failed.promise.catch(() => {});
    this.#ready.promise.catch(() => {});
    this.#worker.on('message', (message: FromWorker) => this.#heard(message, news));
    this.#watch = this.#watchUpdates(watch);
    this.#worker.on('messageerror', (error) => this.#fail(error));
    this.#worker.on('error', (error) => this.#fail(error));
    this.gone = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
    void this.gone.then(() => this.#emptied(this.#closed));
    this.#worker.on('exit', (code) => this.#fail(new Error(`exit ${code}`)));
  }

  /** Resolves when it has told its numbers, what moved, or its measures anew. */
  ask(type: 'count' | 'pulse' | 'measure'): Promise<void> {
    if (this.#ending) return Promise.resolve();
    const serial = ++this.#counts;
    this.#post({ type, serial });
    return new Promise((resolve) => this.#counting.set(serial, resolve));
  }

  /** None of a worker that ends. */
  openFlows(asked: OpenFlowsQuestion): Promise<OpenFlows> {
    if (this.#ended !== undefined) return Promise.resolve(NO_FLOWS);
    const serial = ++this.#counts;
    this.#post({ type: 'open-flows', serial, asked });
    return new Promise((resolve) => this.#openFlows.set(serial, resolve));
  }

  /** What the worker asked who makes a call. */
  found(serial: number, owner: Owner): void {
    if (this.#ending) return;
    // A promise passes no border: what it brings is told by a message of its own.
    const { naming, ...told } = owner;
    this.#post({ type: 'owner', serial, owner: told, naming: naming !== undefined });
    void naming?.then(() => {
      const { pid, program, unit } = owner;
      if (!this.#ending) this.#post({ type: 'named', serial, process: { pid, program, unit } });
    });
  }

  leaveTunnels(forGood: boolean): void {
    this.#post({ type: 'leave-tunnels', forGood });
  }

  leave(leaving: boolean): void {
    this.#post({ type: 'leave', leaving });
  }

  /** Resolves when it is enforced there; rejects when it was not in full, which ends the worker, or that has ended. */
  update(update: Update): Promise<void> {
    this.#asked = false;
    return this.#feed.push(update);
  }

  /** Whether it was told of what it has not enforced yet. */
  get behind(): boolean {
    return !this.#feed.idle && !this.#asked;
  }

  /** Whether it may be stuck, or has failed: what is passed to it then may be met by what was in force before, or by nobody. */
  get late(): boolean {
    return this.#ending || (this.#waiting.size > 0 && performance.now() - this.#sentAt > LATE_MS);
  }

  /** Resolves when the listeners of the updates that it has were bound or failed. */
  bound(): Promise<void> {
    const serial = this.#serial;
    if (this.#bound >= serial || this.#ended !== undefined) return Promise.resolve();
    return new Promise((resolve) => this.#boundWaiters.push({ serial, resolve }));
  }

  /** Resolves once nothing lives on there that it carried; the thread itself may still wait for what it asked of Node's pool. */
  get empty(): Promise<void> {
    return Promise.race([this.over, this.closed]);
  }

  /** Cuts its flows, takes its records, and ends it. */
  stop(reason: string): Promise<void> {
    this.#stopping ??= this.#stop(reason);
    return this.#stopping;
  }

  /** As `stop`, where the agent ends: it does not wait for what the thread has asked of Node's thread pool. */
  end(reason: string): Promise<void> {
    const late = this.over.then(() => sleep(this.#lastMs, undefined, { ref: false }));
    // Between its two ports is no order: the records that it told last are heard within the turn.
    const closed = this.closed.then(() => turn());
    return Promise.race([this.stop(reason), closed, late]);
  }

  async #stop(reason: string): Promise<void> {
    this.#ending = true;
    clearInterval(this.#watch);
    this.#post({ type: 'stop', reason });
    await Promise.race([this.#stopped.promise, sleep(STOP_MS, undefined, { ref: false })]);
    await this.#terminate();
    this.#endWaits(new Error(reason));
  }

  /**
   * Resolves when it is gone. A thread that waits in a system call is ended by nothing but the process's end, and holds its connections until
   * then, and whoever waits for an acknowledgement. One that holds nothing is only waited for.
   */
  async #terminate(): Promise<void> {
    const ended = watchEnd(this.#name, this.#endWatch, () => this.#begun && !this.#isEmpty);
    void this.#worker.terminate();
    await this.gone;
    ended();
  }

  #heard(message: FromWorker, news: (message: WorkerNews) => void): void {
    const told: Told = this.told;
    switch (message.type) {
      case 'ready':
        this.#starts = false;
        this.#begun = true;
        this.#ready.resolve();
        return;
      case 'over':
        this.#emptied(this.#over);
        return;
      case 'stopped':
        this.#stopped.resolve();
        return;
      case 'enforced': {
        const waiting = this.#waiting.get(message.serial);
        this.#waiting.delete(message.serial);
        if (message.failure === undefined) waiting?.resolve();
        else this.#refused(new Error(message.failure), waiting);
        return;
      }
      case 'bound':
        this.#bound = Math.max(this.#bound, message.serial);
        for (const waiter of this.#boundWaiters.splice(0)) {
          if (waiter.serial <= this.#bound) waiter.resolve();
          else this.#boundWaiters.push(waiter);
        }
        return;
      case 'numbers':
        told.numbers = {
          ...defined({ peers: told.numbers?.peers, unreached: told.numbers?.unreached }),
          ...message.numbers,
        };
        this.#answered(message.serial);
        return;
      case 'measures':
        told.measures = message.measures;
        this.#answered(message.serial);
        return;
      case 'open-flows':
        this.#openFlows.get(message.serial)?.(message.open);
        this.#openFlows.delete(message.serial);
        return;
      case 'pulse':
        told.pulse = message.pulse;
        // Whoever asked goes on in a later turn, when the news are known.
        this.#answered(message.serial);
        break;
      case 'flows':
        this.#post({ type: 'flows-taken' });
    }
    news(message);
  }

  #emptied({ resolve }: PromiseWithResolvers<void>): void {
    this.#isEmpty = true;
    resolve();
  }

  #answered(serial: number | undefined): void {
    if (serial === undefined) return;
    this.#counting.get(serial)?.();
    this.#counting.delete(serial);
  }

  #enforce(update: Update): Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const serial = ++this.#serial;
    const waiting = Promise.withResolvers<void>();
    this.#waiting.set(serial, waiting);
    this.#sentAt = performance.now();
    this.#post({ type: 'update', serial, update });
    return waiting.promise;
  }

  #watchUpdates({ lookMs, stuckLooks }: StuckWatch): NodeJS.Timeout {
    let [seen, looks, starting] = [0, 0, true];
    const look = () => {
      const [oldest] = this.#waiting.keys();
      // What it was told while it started it can only read from then on.
      const same = oldest !== undefined && oldest === seen && this.#starts === starting;
      looks = same ? looks + 1 : 0;
      seen = oldest ?? 0;
      starting = this.#starts;
      // A thread that is told nothing is asked, with a change of nothing: it may hold connections, and never come back.
      if (oldest === undefined && !this.#ending) this.#ask();
      const stuck = this.#starts ? looks * lookMs >= STUCK_STARTING_MS : looks >= stuckLooks;
      if (stuck)
        this.#fail(new Error(`it has not answered for ${((performance.now() - this.#sentAt) / 1_000).toFixed(1)} s`));
    };
    return setInterval(look, lookMs).unref();
  }

  /** What it would go by from here on nobody knows. So that nothing which was taken away lives on in it, it is ended, with all that it carries. */
  #refused(cause: Error, waiting: PromiseWithResolvers<void> | undefined): void {
    waiting?.reject(cause);
    if (this.#ending) return;
    this.#ended = cause;
    this.#failed.reject(cause);
    void this.stop('a thread of this agent did not enforce a change, and was ended');
  }

  #ask(): void {
    this.update({})
      .catch(() => {})
      .finally(() => {
        this.#asked = false;
      });
    this.#asked = true;
  }

  /** Nobody answers any more. */
  #endWaits(cause: Error): void {
    this.#ended ??= cause;
    this.#ready.reject(this.#ended);
    for (const waiting of this.#waiting.values()) waiting.reject(this.#ended);
    this.#waiting.clear();
    for (const { resolve } of this.#boundWaiters.splice(0)) resolve();
    for (const resolve of this.#counting.values()) resolve();
    this.#counting.clear();
    for (const resolve of this.#openFlows.values()) resolve(NO_FLOWS);
    this.#openFlows.clear();
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #fail(cause: Error): void {
    this.#stopped.resolve();
    if (this.#ending) return;
    this.#endWaits(cause);
    this.#ending = true;
    clearInterval(this.#watch);
    this.#failed.reject(cause);
    // One that is stuck may come to itself, and would go on by what was in force before.
    void this.#terminate();
  }
}
