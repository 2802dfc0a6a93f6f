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

export class FlowSampler {
  readonly #options: FlowSamplerOptions;
  readonly #stop = new AbortController();
  #texts: string[] = [];
  #omitted = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: FlowSamplerOptions) {
    this.#options = options;
    void this.#run();
  }

  close(): void {
    this.#stop.abort(new Error('nobody looks any more'));
    clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    try {
      for await (const { record, cursor, missed } of this.#options.follow(signal)) {
        if (signal.aborted) return;
        this.#take(record, cursor, missed);
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#options.logger.warn(
        { event: 'dashboard-flows-failed', err: error },
        'the dashboard shows no flows any more',
      );
    }
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
