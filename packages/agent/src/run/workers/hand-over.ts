/** A worker's flow records on their way to the main thread: a batch at a time, the next when that one was taken. */
import type { FlowBatch, FlowRecorder } from '../../flows/recorder.ts';

export class HandOver {
  readonly #recorder: FlowRecorder;
  readonly #post: (batch: FlowBatch) => void;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #taken: (() => void) | undefined;

  constructor(recorder: FlowRecorder, post: (batch: FlowBatch) => void) {
    this.#recorder = recorder;
    this.#post = post;
    this.#ended = this.#run();
  }

  /** The batch that is out was taken. */
  taken(): void {
    this.#taken?.();
  }

  /** Resolves when all that was recorded up to now, or was lost, has been taken. No more may be recorded. */
  async finish(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    // Rejects with the signal: then nothing waits, for a batch that waits is answered first.
    while (!signal.aborted) {
      const batch = await this.#recorder.nextBatch(signal).catch(() => undefined);
      if (batch !== undefined) await this.#bring(batch);
    }
    while (this.#recorder.counters.queued > 0) {
      await this.#bring(await this.#recorder.nextBatch(new AbortController().signal));
    }
  }

  #bring(batch: FlowBatch): Promise<void> {
    return new Promise((resolve) => {
      this.#taken = () => {
        this.#taken = undefined;
        this.#recorder.taken(batch);
        resolve();
      };
      this.#post(batch);
    });
  }
}
