/**
 * Records on their way to the thread, and questions to it. Records go in packs, one at a time: what the thread has not taken
 * waits here, bounded, and what finds no place is counted.
 */
import type { FlowRecord } from '@weft/proto';
import type { Logger } from 'pino';
import { FlowsError } from './errors.ts';
import type { FromThread, Question, ThreadStart, ToThread } from './messages.ts';
import {
  COLUMNS,
  countRecords,
  FlowPacker,
  type PackedFlows,
  type Standing,
  type UnpackedFlow,
  unpack,
} from './packing.ts';
import { FlowThread } from './thread.ts';
import { TELL } from './trouble-log.ts';
import type { FlowHistory, FlowQuery, FoundFlows, HistoryQuery, KeptFlows } from './types.ts';

export interface KeeperOptions {
  readonly start: ThreadStart;
  readonly logger: Logger;
  /** Records that are lost. */
  readonly lost: (network: string, records: number) => void;
  /** Newest first, of one network. */
  readonly restored: (flows: UnpackedFlow[]) => void;
  /** As the window's. */
  readonly wrote?: (failure: string | undefined) => void;
  /** For tests: another thread. */
  readonly entry?: URL;
  readonly mostQueued?: number;
}

/** How long records are gathered before they are sent, when nobody waits and when somebody does, and how many. */
const GATHER_MS = 200;
const HASTE_MS = 20;
const PACK = 2_000;
/** What waits for a thread that lags: over a minute of the heaviest load that control is made for. */
const MOST_QUEUED = 200_000;
/** And in characters, should each record be of another sort. */
const MOST_CHARACTERS = 32_000_000;
/** More than all roles together may ask, and watch, which asks twice as it begins (admin/role-places.ts). */
const MOST_ASKED = 256;
const COMPLAIN_MS = 60_000;
const CLOSE_MS = 10_000;

interface Pack {
  readonly packed: PackedFlows;
  readonly characters: number;
}

/** A network to forget, behind what was added before. */
interface Forgotten {
  readonly forget: string;
}

interface Asked {
  resolve(answer: FromThread): void;
  reject(error: Error): void;
}

export class FlowKeeper {
  kept: KeptFlows = { records: 0, oldestMs: 0, diskBytes: 0 };
  /** The highest cursor that was on disk at the start. */
  last = 0;
  readonly #options: KeeperOptions;
  readonly #thread: FlowThread;
  #gathering = new FlowPacker();
  #timer: NodeJS.Timeout | undefined;
  /** Whether somebody waits for what is gathered. */
  #hasty: boolean = false;
  /** It was gathered for long enough, but the thread is busy: more may join until that is ready. */
  #due: boolean = false;
  readonly #packs: (Pack | Forgotten)[] = [];
  #underWay: Pack | undefined;
  /** Records and characters in packs that are not written yet. */
  #queued = 0;
  #characters = 0;
  #packed = 0;
  #settled = 0;
  /** Who waits for a pack to be written or lost. */
  readonly #settling = new Set<{ readonly pack: number; readonly resolve: () => void }>();
  readonly #asked = new Map<number, Asked>();
  #questions = 0;
  #closed: boolean = false;
  #unspoken = 0;
  /** Of the write under way. */
  #failure: string | undefined;
  #spokeMs = Number.NEGATIVE_INFINITY;

  constructor(options: KeeperOptions) {
    this.#options = options;
    const events = {
      heard: (message: FromThread) => this.#heard(message),
      ended: (cause: Error, againMs: number) => this.#ended(cause, againMs),
    };
    this.#thread = new FlowThread(options.start, events, options.entry);
  }

  get ready(): Promise<void> {
    return this.#thread.ready;
  }

  add(network: string, record: FlowRecord, standing: Standing): void {
    const queued = this.#queued + this.#gathering.records;
    const full =
      queued >= (this.#options.mostQueued ?? MOST_QUEUED) ||
      this.#characters + this.#gathering.characters >= MOST_CHARACTERS;
    if (full || this.#closed) {
      this.#lose(network, 1, 'the disk does not keep up');
      return;
    }
    this.#gathering.add(network, record, standing);
    if (this.#gathering.records >= PACK) this.#pack();
    else this.#timer ??= setTimeout(() => this.#packWhenFree(), GATHER_MS).unref();
  }

  /** Throws away what was added of the network before this call. */
  forget(network: string): void {
    this.#pack();
    this.#packs.push({ forget: network });
    this.#send();
  }

  /** Calls back once, when all that was added before this call is on disk or counted as lost; at once when it is already. */
  whenSettled(done: () => void): void {
    const gathering = this.#gathering.records > 0;
    const pack = this.#packed + (gathering ? 1 : 0);
    if (pack <= this.#settled) {
      done();
      return;
    }
    this.#settling.add({ pack, resolve: done });
    if (!gathering || this.#hasty) return;
    this.#hasty = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#packWhenFree(), HASTE_MS).unref();
  }

  async query(network: string, query: FlowQuery, signal: AbortSignal): Promise<FoundFlows> {
    const answer = await this.#ask(network, { type: 'query', query }, signal);
    if (answer.type !== 'found') throw new FlowsError('failed', 'the thread of flows answered something else');
    const flows = [...unpack(answer.packed)].map(({ record, cursor }) => ({ record, cursor }));
    return { flows, older: answer.older ? flows.at(-1)?.cursor : undefined, complete: answer.complete };
  }

  async history(network: string, query: HistoryQuery, signal: AbortSignal): Promise<FlowHistory> {
    const answer = await this.#ask(network, { type: 'history', query }, signal);
    if (answer.type !== 'counted') throw new FlowsError('failed', 'the thread of flows answered something else');
    return answer.history;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    const settled = this.#thread.isReady ? this.#allSettled(AbortSignal.timeout(CLOSE_MS)) : this.#pack();
    this.#closed = true;
    await settled;
    // Nobody is told that what is lost now is settled: an agent may send it again.
    this.#settling.clear();
    for (const pack of this.#packs.splice(0))
      if ('packed' in pack) this.#losePack(pack, 'control stopped before they were written');
    if (this.#underWay !== undefined) this.#losePack(this.#underWay, 'control stopped before they were written');
    this.#failAsked(new FlowsError('closed', 'control is stopping'));
    await this.#thread.close();
  }

  async #ask(network: string, question: Question, signal: AbortSignal): Promise<FromThread> {
    signal.throwIfAborted();
    if (this.#closed) throw new FlowsError('closed', 'control is stopping');
    if (!this.#thread.isReady) throw new FlowsError('thread-ended', 'flows cannot be read just now; try again');
    if (this.#asked.size >= MOST_ASKED) throw new FlowsError('busy', 'too many questions about flows; try again');
    const id = ++this.#questions;
    const { promise, resolve, reject } = Promise.withResolvers<FromThread>();
    this.#asked.set(id, { resolve, reject });
    const abort = (): void => {
      this.#tell({ type: 'abort', id });
      reject(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    try {
      // What was added before this call is written first.
      void this.#allSettled(signal).then(() => {
        if (this.#asked.has(id)) this.#tell({ ...question, id, network });
      });
      return await promise;
    } finally {
      this.#asked.delete(id);
      signal.removeEventListener('abort', abort);
    }
  }

  /** Resolves when all that was added is written or lost, or the signal aborts. */
  #allSettled(signal: AbortSignal): Promise<void> {
    this.#pack();
    if (this.#settled === this.#packed || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#settling.delete(waiter);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const waiter = { pack: this.#packed, resolve: done };
      this.#settling.add(waiter);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  #packWhenFree(): void {
    this.#due = true;
    if (this.#underWay === undefined && this.#packs.length === 0 && this.#thread.isReady) this.#pack();
  }

  #pack(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#hasty = false;
    this.#due = false;
    const { records, characters } = this.#gathering;
    if (records === 0) return;
    this.#packs.push({ packed: this.#gathering.pack(), characters });
    this.#gathering = new FlowPacker();
    this.#packed += 1;
    this.#queued += records;
    this.#characters += characters;
    this.#send();
  }

  #send(): void {
    if (this.#underWay !== undefined || !this.#thread.isReady) return;
    if (this.#due && this.#packs.length === 0) {
      this.#pack();
      return;
    }
    let next = this.#packs.shift();
    for (; next !== undefined && 'forget' in next; next = this.#packs.shift())
      this.#tell({ type: 'forget', network: next.forget });
    this.#underWay = next;
    // Copied, not moved: it is counted here should the thread end.
    if (this.#underWay !== undefined) this.#tell({ type: 'write', packed: this.#underWay.packed });
  }

  #heard(message: FromThread): void {
    switch (message.type) {
      case 'restored':
        this.#options.restored([...unpack(message.packed)]);
        return;
      case 'ready':
        if (this.last === 0) this.last = message.last;
        this.kept = message.kept;
        this.#send();
        return;
      case 'kept':
        this.kept = message.kept;
        return;
      case 'written':
        this.kept = message.kept;
        this.#options.wrote?.(this.#failure);
        this.#failure = undefined;
        for (const [network, records] of message.lost) this.#options.lost(network, records);
        this.#settle();
        this.#send();
        return;
      case 'found':
      case 'counted':
        this.#asked.get(message.id)?.resolve(message);
        return;
      case 'failed':
        this.#asked.get(message.id)?.reject(new FlowsError('failed', `flows could not be read: ${message.message}`));
        return;
      case 'trouble': {
        const { event, path, message: reason, lost } = message.trouble;
        if (lost !== undefined) this.#options.lost(lost.network, lost.records);
        const writing = event === 'flows-not-written';
        if (writing) this.#failure = reason;
        // It comes with each pack.
        if (!writing || this.#maySpeak()) TELL[event](this.#options.logger, { path, reason });
        return;
      }
      case 'closed':
    }
  }

  #ended(cause: Error, againMs: number): void {
    this.#options.logger.error(
      { event: 'flows-thread-ended', err: cause, againMs },
      'the thread of flows ended; it is started again',
    );
    if (this.#failure !== undefined) this.#options.wrote?.(this.#failure);
    this.#failure = undefined;
    // It may have written them, and died before it said so.
    if (this.#underWay !== undefined) this.#losePack(this.#underWay, 'the thread of flows ended');
    this.#failAsked(new FlowsError('thread-ended', 'flows cannot be read just now; try again', { cause }));
  }

  #losePack(pack: Pack, why: string): void {
    for (const [network, records] of countRecords(pack.packed)) this.#lose(network, records, why);
    if (pack === this.#underWay) this.#settle();
  }

  #lose(network: string, records: number, reason: string): void {
    this.#options.lost(network, records);
    this.#unspoken += records;
    if (!this.#maySpeak()) return;
    this.#options.logger.warn({ event: 'flows-dropped', records: this.#unspoken, reason }, 'flow records are lost');
    this.#unspoken = 0;
  }

  #maySpeak(): boolean {
    const now = performance.now();
    if (now - this.#spokeMs < COMPLAIN_MS) return false;
    this.#spokeMs = now;
    return true;
  }

  #settle(): void {
    const pack = this.#underWay;
    if (pack === undefined) return;
    this.#underWay = undefined;
    this.#settled += 1;
    this.#queued -= pack.packed.rows.length / COLUMNS;
    this.#characters -= pack.characters;
    for (const waiter of this.#settling) {
      if (waiter.pack > this.#settled) continue;
      this.#settling.delete(waiter);
      waiter.resolve();
    }
  }

  #failAsked(error: FlowsError): void {
    for (const { reject } of this.#asked.values()) reject(error);
  }

  #tell(message: ToThread): void {
    this.#thread.post(message);
  }
}
