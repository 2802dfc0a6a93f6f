/**
 * Tells an agent which of its batches are in hand. Numbers only grow, so that while an answer is on its way the newest alone
 * is kept: an agent that sends and does not read costs no memory.
 */
export class FlowAnswers {
  readonly #send: (sequence: number, done: () => void) => void;
  #newest = 0;
  #told = 0;
  #sending: boolean = false;

  constructor(send: (sequence: number, done: () => void) => void) {
    this.#send = send;
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
