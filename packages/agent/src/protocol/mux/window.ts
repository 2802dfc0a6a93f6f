/**
 * What a receiver lets its peer send on one stream, grown to the path: when a window is used up within two round trips,
 * it was the window that set the pace, and it doubles. All windows of a tunnel share one budget, so what a peer may make
 * us hold is bounded by the sum promised, not by the number of streams.
 */
import { MuxError } from './errors.ts';

export const INITIAL_WINDOW = 256 * 1024;
const MAXIMUM_WINDOW = 16 * 1024 * 1024;
/** Given to streams when the budget is used up: enough to keep them moving. */
export const MINIMUM_WINDOW = 16 * 1024;
/** A path quicker than this still deserves a larger window: it saves frames. Milliseconds. */
const QUICK = 20;

export class WindowBudget {
  /** Sum of all windows of the tunnel, bytes. */
  promised = 0;
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** A window for a new stream: smaller the less is left. */
  takeInitial(): number {
    const left = this.#limit - this.promised;
    const size = left > this.#limit / 2 ? INITIAL_WINDOW : left > this.#limit / 4 ? INITIAL_WINDOW / 4 : MINIMUM_WINDOW;
    this.promised += size;
    return size;
  }

  tryTake(bytes: number): boolean {
    if (this.promised + bytes > this.#limit) return false;
    this.promised += bytes;
    return true;
  }

  get overdrawn(): boolean {
    return this.promised > this.#limit;
  }

  release(bytes: number): void {
    this.promised -= bytes;
  }
}

export class ReceiveWindow {
  /** Bytes the peer may have sent and we not used. */
  size: number;
  readonly #budget: WindowBudget;
  /** Bytes the peer may still send. */
  #credit: number;
  /** Bytes used since credit was last given. */
  #used = 0;
  /** Whether the user had taken all there was, at some time since then. */
  #hungry: boolean = false;
  #grantedAt: number;

  /** `size` was taken from the budget and told to the peer. */
  constructor(budget: WindowBudget, size: number, now: number) {
    this.#budget = budget;
    this.size = size;
    this.#credit = size;
    this.#grantedAt = now;
  }

  /** Counts bytes that arrived. */
  receive(bytes: number): void {
    this.#credit -= bytes;
    if (this.#credit < 0) throw new MuxError('window-overrun', 'more data than the window allowed');
  }

  /**
   * Counts bytes handed on; returns the credit to give now, 0 for none yet. `hungry` says that no more lie here: a user who
   * never is sets the pace itself, and a larger window would only fill memory. `roundTrip` in milliseconds.
   */
  use(bytes: number, hungry: boolean, now: number, roundTrip: number): number {
    this.#used += bytes;
    this.#hungry ||= hungry;
    if (this.#used * 2 < this.size) return 0;
    let grant = this.#used;
    if (this.#budget.overdrawn && this.size > MINIMUM_WINDOW) {
      const less = Math.min(this.size >>> 1, grant);
      this.#budget.release(less);
      this.size -= less;
      grant -= less;
    } else if (this.#hungry && now - this.#grantedAt <= Math.max(2 * roundTrip, QUICK)) {
      const more = Math.min(this.size, MAXIMUM_WINDOW - this.size);
      if (more > 0 && this.#budget.tryTake(more)) {
        this.size += more;
        grant += more;
      }
    }
    this.#used = 0;
    this.#hungry = false;
    this.#credit += grant;
    this.#grantedAt = now;
    return grant;
  }

  /** Gives the promise back when the stream is over. */
  release(): void {
    this.#budget.release(this.size);
    this.size = 0;
  }
}
