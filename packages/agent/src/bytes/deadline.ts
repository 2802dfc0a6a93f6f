/**
 * How long a piece of work may take, and why it is to end sooner. One is made where the work begins and passed down all its
 * steps: with one timer, and without the event machinery of an AbortSignal, which an opening would pay for at every step.
 */

type Told = (reason: Error) => void;

export class Deadline {
  readonly #endsAt: number;
  readonly #timer: NodeJS.Timeout;
  readonly #told = new Set<Told>();
  #reason: Error | undefined;
  #late: boolean = false;
  #leave: (() => void) | undefined;

  /** `limitMs` from now. To be closed when the work is done. */
  constructor(limitMs: number) {
    this.#endsAt = performance.now() + limitMs;
    this.#timer = setTimeout(() => {
      this.#late = true;
      this.end(new Error(`no answer within ${Math.round(limitMs)} ms`));
    }, limitMs);
  }

  /** Whether the work is to end, or was when it was closed. */
  get over(): boolean {
    return this.#reason !== undefined;
  }

  /** Whether time alone ended it. */
  get late(): boolean {
    return this.#late;
  }

  /** Milliseconds, none once it is over. */
  get remaining(): number {
    return this.over ? 0 : Math.max(0, this.#endsAt - performance.now());
  }

  /** The first reason stands. */
  end(reason: Error): void {
    if (this.over) return;
    this.#reason = reason;
    const told = [...this.#told];
    this.close();
    for (const tell of told) tell(reason);
  }

  /** Called once when it ends, at once where it has. */
  onEnd(tell: Told): void {
    if (this.#reason === undefined) this.#told.add(tell);
    else tell(this.#reason);
  }

  off(tell: Told): void {
    this.#told.delete(tell);
  }

  throwIfOver(): void {
    if (this.#reason !== undefined) throw this.#reason;
  }

  /** What the work answers, or the reason if that comes first; work that several wait for goes on for the others. */
  race<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.onEnd(reject);
      work.then(resolve, reject).finally(() => this.off(reject));
    });
  }

  /** Of one step: ends with this, or sooner by its own limit. To be closed when the step is done. */
  part(limitMs: number): Deadline {
    const part = new Deadline(Math.min(limitMs, this.remaining));
    const end = (reason: Error): void => part.end(reason);
    part.#leave = () => this.off(end);
    this.onEnd(end);
    return part;
  }

  /** The work is done: nobody is told any more. */
  close(): void {
    clearTimeout(this.#timer);
    this.#told.clear();
    this.#leave?.();
    this.#leave = undefined;
  }
}
