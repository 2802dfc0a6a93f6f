/**
 * How long a piece of work may take, and why it is to end sooner. One is made where the work begins and passed down all its
 * steps: with one timer for all of a length, and without the event machinery of an AbortSignal, which an opening would pay for at every step.
 */

import { entryOf } from '@weft/proto';

type Told = (reason: Error) => void;

/** Deadlines of one length, oldest first, and the timer of all: thousands begin in a second and are closed long before their time. */
class Queue {
  readonly #limitMs: number;
  readonly #waiting = new Set<Deadline>();
  #timer: NodeJS.Timeout | undefined;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  add(deadline: Deadline): void {
    this.#waiting.add(deadline);
    this.#timer ??= setTimeout(() => this.#ring(), this.#limitMs);
  }

  delete(deadline: Deadline): void {
    if (!this.#waiting.delete(deadline) || this.#waiting.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    queues.delete(this.#limitMs);
  }

  /** The timer stands until it is done: what is added meanwhile is looked at, too. */
  #ring(): void {
    for (const deadline of this.#waiting) {
      const { remaining } = deadline;
      if (remaining > 0) {
        this.#timer = setTimeout(() => this.#ring(), Math.ceil(remaining));
        return;
      }
      deadline.pass();
    }
  }
}

/** What a deadline that may have more time has more of it at once, milliseconds. */
const MORE_MS = 500;

/** Of this thread, by milliseconds; each goes with its last deadline. */
const queues = new Map<number, Queue>();

function queueOf(limitMs: number): Queue {
  return entryOf(queues, limitMs, () => new Queue(limitMs));
}

export class Deadline {
  readonly #mostMs: number;
  #limitMs: number;
  #endsAt: number;
  #queue: Queue;
  #hopeful: (() => boolean) | undefined;
  readonly #told: Told[] = [];
  #reason: Error | undefined;
  #late: boolean = false;
  #leave: (() => void) | undefined;

  /** `limitMs` from now, or up to `mostMs` where whoever works says so. To be closed when the work is done. */
  constructor(limitMs: number, mostMs: number = limitMs) {
    this.#limitMs = limitMs;
    this.#mostMs = mostMs;
    this.#endsAt = performance.now() + limitMs;
    this.#queue = queueOf(limitMs);
    this.#queue.add(this);
  }

  /** To be asked when its time is over, whether there is hope that more of it is not in vain. */
  goesOnWhile(hopeful: () => boolean): void {
    this.#hopeful = hopeful;
  }

  /** Its time is over. */
  pass(): void {
    if (this.#limitMs < this.#mostMs && this.#hopeful?.() === true) {
      this.#queue.delete(this);
      const moreMs = Math.min(MORE_MS, this.#mostMs - this.#limitMs);
      this.#limitMs += moreMs;
      this.#endsAt = performance.now() + moreMs;
      this.#queue = queueOf(moreMs);
      this.#queue.add(this);
      return;
    }
    this.#late = true;
    this.end(new Error(`no answer within ${Math.round(this.#limitMs)} ms`));
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
    if (this.#reason === undefined) this.#told.push(tell);
    else tell(this.#reason);
  }

  off(tell: Told): void {
    const index = this.#told.indexOf(tell);
    if (index >= 0) this.#told.splice(index, 1);
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
  part(limitMs: number, mostMs?: number): Deadline {
    const part = new Deadline(Math.min(limitMs, this.remaining), mostMs);
    const end = (reason: Error): void => part.end(reason);
    part.#leave = () => this.off(end);
    this.onEnd(end);
    return part;
  }

  /** The work is done: nobody is told any more. */
  close(): void {
    this.#queue.delete(this);
    this.#told.length = 0;
    this.#leave?.();
    this.#leave = undefined;
  }
}
