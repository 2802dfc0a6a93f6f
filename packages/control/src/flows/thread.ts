/** The thread of flows, as control's main thread has it: starts it, again if need be, and speaks with it. */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { FlowsError } from './errors.ts';
import type { FromThread, ThreadStart, ToThread } from './messages.ts';

/** Beside this file, in the form that this file has: source, or built. */
const ENTRY = new URL(`./entry${extname(import.meta.url)}`, import.meta.url);

/** It holds shapes and what it answers; should it hold more, it ends, and not control. */
const HEAP_MEBIBYTES = 160;
/** Most of what it touches is garbage at once; little room for that costs it little. */
const YOUNG_MEBIBYTES = 8;
/** Doubled each time it ends soon again. */
const AGAIN_MS = 1_000;
const LONGEST_AGAIN_MS = 60_000;
/** A thread that lived so long did not end for what it did at its start. */
const LIVED_MS = 60_000;
const CLOSE_MS = 5_000;

export interface ThreadEvents {
  heard(message: FromThread): void;
  /** Nothing is answered that was asked before. It is started again after `againMs`. */
  ended(cause: Error, againMs: number): void;
}

export class FlowThread {
  readonly #start: ThreadStart;
  readonly #events: ThreadEvents;
  readonly #entry: URL;
  readonly #ready = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  #worker: Worker | undefined;
  #isReady: boolean = false;
  #wasReady: boolean = false;
  #closing: boolean = false;
  #startedMs = 0;
  #againMs = AGAIN_MS;
  #again: NodeJS.Timeout | undefined;

  constructor(start: ThreadStart, events: ThreadEvents, entry: URL = ENTRY) {
    this.#start = start;
    this.#events = events;
    this.#entry = entry;
    this.#run(start);
  }

  /** Rejects when the first start fails: that an operator should hear of at once. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Whether it takes messages now. */
  get isReady(): boolean {
    return this.#isReady;
  }

  post(message: ToThread, moved: readonly ArrayBuffer[] = []): void {
    this.#worker?.postMessage(message, [...moved]);
  }

  /** Resolves when the thread has ended. */
  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#again);
    const worker = this.#worker;
    if (worker === undefined) return;
    this.post({ type: 'close' });
    const timer = setTimeout(() => this.#closed.resolve(), CLOSE_MS);
    await this.#closed.promise;
    clearTimeout(timer);
    await worker.terminate();
  }

  #run(start: ThreadStart): void {
    this.#startedMs = performance.now();
    const worker = new Worker(this.#entry, {
      name: 'weft flows',
      workerData: start,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MEBIBYTES, maxYoungGenerationSizeMb: YOUNG_MEBIBYTES },
    });
    this.#worker = worker;
    worker.on('message', (message: FromThread) => this.#heard(message));
    let cause: Error | undefined;
    worker.on('error', (error) => {
      cause = error instanceof Error ? error : new Error(String(error));
    });
    worker.on('exit', (code) => this.#ended(cause ?? new Error(`exit ${code}`)));
  }

  #heard(message: FromThread): void {
    if (message.type === 'ready') {
      this.#isReady = true;
      this.#wasReady = true;
    }
    if (message.type === 'closed') this.#closed.resolve();
    this.#events.heard(message);
    if (message.type === 'ready') this.#ready.resolve();
  }

  #ended(cause: Error): void {
    this.#worker = undefined;
    this.#isReady = false;
    this.#closed.resolve();
    if (this.#closing) return;
    if (!this.#wasReady) {
      this.#closing = true;
      this.#ready.reject(new FlowsError('failed', unopened(this.#start.directory, cause), { cause }));
      return;
    }
    if (performance.now() - this.#startedMs > LIVED_MS) this.#againMs = AGAIN_MS;
    const againMs = this.#againMs;
    this.#againMs = Math.min(2 * againMs, LONGEST_AGAIN_MS);
    this.#events.ended(cause, againMs);
    this.#again = setTimeout(() => this.#run({ ...this.#start, restore: 0 }), againMs).unref();
  }
}

function unopened(directory: string, { message }: Error): string {
  return `the flows in ${directory} could not be opened: ${message}; make it a directory that control can read and write, or move it away: it holds records of past flows and nothing else, and control makes it anew`;
}
