/** Flows as they end, gathered for the page: a few times a second, and never more than a page can show. */
import type { FlowRecord } from '@weft/proto';
import type { Logger } from 'pino';
import type { WatchedFlow } from '../flows/types.ts';
import type { FlowView } from './api.ts';

export interface GatheredFlows {
  /** JSON of each, oldest first. */
  readonly texts: readonly string[];
  readonly omitted: number;
}

export interface FlowSamplerOptions {
  /** Each flow that ends from now on, until the signal aborts. */
  readonly follow: (signal: AbortSignal) => AsyncIterable<WatchedFlow>;
  readonly emit: (flows: GatheredFlows) => void;
  readonly logger: Logger;
}

const GATHER_MS = 250;
/** 200 a second. */
const MOST = 50;
/** Before flows that ended in an error are followed again: twice as long each time, until one comes. */
const AGAIN_MS = 1_000;
const AGAIN_MOST_MS = 30_000;

export class FlowSampler {
  readonly #options: FlowSamplerOptions;
  readonly #stop = new AbortController();
  #texts: string[] = [];
  #omitted = 0;
  #timer: NodeJS.Timeout | undefined;
  #againTimer: NodeJS.Timeout | undefined;
  #againMs = AGAIN_MS;

  constructor(options: FlowSamplerOptions) {
    this.#options = options;
    void this.#run();
  }

  close(): void {
    this.#stop.abort(new Error('nobody looks any more'));
    clearTimeout(this.#timer);
    clearTimeout(this.#againTimer);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    try {
      for await (const { record, cursor, missed } of this.#options.follow(signal)) {
        if (signal.aborted) return;
        this.#againMs = AGAIN_MS;
        this.#take(record, cursor, missed);
      }
      this.#again(undefined);
    } catch (error) {
      this.#again(error);
    }
  }

  #again(error: unknown): void {
    if (this.#stop.signal.aborted) return;
    const againMs = this.#againMs;
    this.#againMs = Math.min(2 * againMs, AGAIN_MOST_MS);
    this.#options.logger.warn(
      { event: 'dashboard-flows-failed', againMs, err: error },
      'the dashboard shows no flows for a while',
    );
    this.#againTimer = setTimeout(() => void this.#run(), againMs).unref();
  }

  #take(record: FlowRecord, cursor: number, missed: number): void {
    this.#omitted += missed;
    const view: FlowView = { ...record, cursor };
    if (this.#texts.length < MOST) this.#texts.push(JSON.stringify(view));
    else this.#omitted += 1;
    this.#timer ??= setTimeout(() => this.#emit(), GATHER_MS).unref();
  }

  #emit(): void {
    const gathered = { texts: this.#texts, omitted: this.#omitted };
    this.#timer = undefined;
    this.#texts = [];
    this.#omitted = 0;
    this.#options.emit(gathered);
  }
}
