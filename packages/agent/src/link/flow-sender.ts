/**
 * Ended flows on their way to control: a few batches at a time, kept until control says that it has them. What was sent and
 * not taken when the stream ends goes back to where it came from, and out again on the next: control may see a record twice,
 * and knows it, but none is lost without being counted.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { flowBatchToWire, type pb } from '@weft/proto/wire';
import type { FlowBatch, FlowRecorder, RecorderCounters } from '../flows/recorder.ts';

/** Where ended flows come from. */
export interface FlowBatches extends Pick<FlowRecorder, 'nextBatch' | 'taken' | 'restore'> {
  readonly counters: Pick<RecorderCounters, 'queued'>;
}

export interface FlowSenderOptions {
  readonly flows: FlowBatches;
  /** Control says which batches it has; else one is taken as soon as the stream has it. */
  readonly acknowledged: boolean;
  /** What control understands. */
  readonly capability: number;
  /** Whether the stream took the message; false when it is over. */
  readonly write: (flows: pb.FlowBatch) => Promise<boolean>;
  /** Asks for an end once all was sent and taken. */
  readonly stop: AbortSignal;
  /** The stream is over. */
  readonly over: AbortSignal;
}

/** Batches that control has not answered: what waits for it beside the queue is bounded. */
const MOST_UNTAKEN = 4;
/** From one batch to the next: one message of ten records costs both ends a tenth of ten messages. */
const GATHER_MS = 50;
/** Where so many came meanwhile more do, and are waited for: control pays half for a message of 250 records of what it does for five of 50. */
const MANY = 16;
const GATHER_MANY_MS = 200;
/** So many do not wait for more. */
const ENOUGH = 500;

interface Sent {
  readonly sequence: number;
  readonly batch: FlowBatch;
}

export class FlowSender {
  readonly #options: FlowSenderOptions;
  readonly #stopOrOver: AbortSignal;
  #untaken: Sent[] = [];
  #sequence = 0;
  #wake: () => void = () => {};

  constructor(options: FlowSenderOptions) {
    this.#options = options;
    this.#stopOrOver = AbortSignal.any([options.stop, options.over]);
  }

  /** Control has this batch and those before it. */
  taken(sequence: number): void {
    const taken = this.#untaken.filter((sent) => sent.sequence <= sequence);
    this.#untaken = this.#untaken.filter((sent) => sent.sequence > sequence);
    for (const { batch } of taken) this.#options.flows.taken(batch);
    this.#wake();
  }

  /** Resolves when it was asked to stop and nothing is left, or the stream is over and what control has not is back. */
  async run(): Promise<void> {
    const { flows, stop, over } = this.#options;
    try {
      while (!over.aborted && (!stop.aborted || flows.counters.queued > 0)) await this.#sendOne();
      await this.#until(() => this.#untaken.length === 0);
    } finally {
      // The newest first, for each goes in front of what is there.
      for (const { batch } of this.#untaken.reverse()) flows.restore(batch);
      this.#untaken = [];
    }
  }

  async #sendOne(): Promise<void> {
    const { flows, stop, over, write, acknowledged, capability } = this.#options;
    await this.#until(() => this.#untaken.length < MOST_UNTAKEN);
    await this.#gather();
    if (over.aborted) return;
    const batch = await flows.nextBatch(stop.aborted ? over : this.#stopOrOver).catch((error: unknown) => {
      if (this.#stopOrOver.aborted) return undefined;
      throw error;
    });
    if (batch === undefined) return;
    this.#sequence++;
    const sent = { sequence: this.#sequence, batch };
    // Before it is written: the answer may come before the stream says that it took it.
    this.#untaken.push(sent);
    const message = flowBatchToWire(batch.records, batch.dropped, sent.sequence, capability);
    const written = !over.aborted && (await write(message));
    if (written && !acknowledged) this.taken(sent.sequence);
  }

  async #gather(): Promise<void> {
    if (this.#sequence === 0 || this.#options.flows.counters.queued >= ENOUGH) return;
    await this.#sleep(GATHER_MS);
    const { queued } = this.#options.flows.counters;
    if (queued >= MANY && queued < ENOUGH) await this.#sleep(GATHER_MANY_MS);
  }

  #sleep(milliseconds: number): Promise<void> {
    return sleep(milliseconds, undefined, { signal: this.#stopOrOver }).catch(() => {});
  }

  /** Resolves when it is so, or the stream is over. */
  async #until(holds: () => boolean): Promise<void> {
    const { over } = this.#options;
    const woken = () => this.#wake();
    over.addEventListener('abort', woken);
    try {
      while (!over.aborted && !holds()) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      over.removeEventListener('abort', woken);
    }
  }
}
