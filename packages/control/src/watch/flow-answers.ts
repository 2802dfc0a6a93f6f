/**
 * Tells an agent which of its batches are on disk, or counted as lost. Numbers only grow, so that while an answer is on its way the newest alone
 * is kept: an agent that sends and does not read costs no memory.
 */
/** Batches waited for at once: an honest agent waits for an answer to its fourth. */
const MOST_WAITING = 16;

export class FlowAnswers {
  readonly #send: (sequence: number, done: () => void) => void;
  #newest = 0;
  #told = 0;
  #sending: boolean = false;
  #waiting = 0;

  constructor(send: (sequence: number, done: () => void) => void) {
    this.#send = send;
  }

  /** What to call once the batch is settled. Who sends more than it should before it is answered gets no answer to that. */
  expect(sequence: number): () => void {
    if (this.#waiting >= MOST_WAITING) return () => {};
    this.#waiting += 1;
    return () => {
      this.#waiting -= 1;
      this.took(sequence);
    };
  }

  /** 0 is a batch that nobody counts. */
  took(sequence: number): void {
    if (!Number.isSafeInteger(sequence) || sequence <= this.#newest) return;
    this.#newest = sequence;
    this.#tell();
  }

  #tell(): void {
    if (this.#sending || this.#told === this.#newest) return;
    this.#sending = true;
    this.#told = this.#newest;
    this.#send(this.#told, () => {
      this.#sending = false;
      this.#tell();
    });
  }
}
