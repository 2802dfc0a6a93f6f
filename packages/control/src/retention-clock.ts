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
  /** What surely has passed: as a clock before this one was sure of, else when the newest record came; 0 when there is neither. */
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

  /** What has surely passed by now. */
  get sureMs(): number {
    return this.#sure.atMs + this.#options.steady() - this.#sure.steadyMs;
  }

  /** `ahead`: by how much the clock is ahead, where that is not believed yet; else 0. Milliseconds. */
  read(): { readonly nowMs: number; readonly aheadMs: number } {
    const nowMs = this.#options.now();
    const steadyMs = this.#options.steady();
    const { sureMs } = this;
    if (nowMs - sureMs <= TOLERATED_MS) {
      // Set back: what it was before was wrong, and is not to be handed on.
      if (nowMs < sureMs) this.#sure = { atMs: nowMs, steadyMs };
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
