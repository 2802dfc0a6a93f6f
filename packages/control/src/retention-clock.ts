/**
 * What time it is for throwing away. A clock that is set wrong for a minute must not empty the window: time counts as passed when
 * it passed on the monotonic clock too, and a clock that is ahead of that is believed once it has stayed there for an hour.
 */

/** A clock that is ahead by less throws away by less too early. */
const TOLERATED_MS = 3_600_000;
const BELIEVED_AFTER_MS = 3_600_000;

export interface RetentionClockOptions {
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Milliseconds of a clock that is never set. */
  readonly steady: () => number;
  /** When the newest record came, which surely has passed; 0 when there is none. */
  readonly newestMs: number;
}

export class RetentionClock {
  readonly #options: RetentionClockOptions;
  /** What this, and the time since on the monotonic clock, come to has surely passed. */
  #sure: { readonly atMs: number; readonly steadyMs: number };
  /** Since when it is further ahead than that, on the monotonic clock, and by how much: ahead by something else, it was set again. */
  #ahead: { readonly sinceMs: number; readonly byMs: number } | undefined;

  constructor(options: RetentionClockOptions) {
    this.#options = options;
    const { now, steady, newestMs } = options;
    this.#sure = { atMs: newestMs === 0 ? now() : Math.min(newestMs, now()), steadyMs: steady() };
  }

  /** `ahead`: by how much the clock is ahead, where that is not believed yet; else 0. Milliseconds. */
  read(): { readonly nowMs: number; readonly aheadMs: number } {
    const nowMs = this.#options.now();
    const steadyMs = this.#options.steady();
    const sureMs = this.#sure.atMs + steadyMs - this.#sure.steadyMs;
    if (nowMs - sureMs <= TOLERATED_MS) {
      this.#ahead = undefined;
      return { nowMs, aheadMs: 0 };
    }
    const byMs = nowMs - sureMs;
    const ahead = this.#ahead;
    if (ahead === undefined || Math.abs(byMs - ahead.byMs) > TOLERATED_MS) this.#ahead = { sinceMs: steadyMs, byMs };
    if (steadyMs - (this.#ahead?.sinceMs ?? steadyMs) < BELIEVED_AFTER_MS) return { nowMs: sureMs, aheadMs: byMs };
    this.#sure = { atMs: nowMs, steadyMs };
    this.#ahead = undefined;
    return { nowMs, aheadMs: 0 };
  }
}
