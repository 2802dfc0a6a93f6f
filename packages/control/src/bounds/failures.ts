/**
 * Counts failures of each of many, such as addresses, over a window and in bounded memory: what limits log lines. An IPv6 address counts by
 * its /64, of which one stranger has all.
 */
import { addressGroup } from '@weft/proto/bounds';

export interface FailureLimits {
  /** Failures one may have in a window before it is over the limit. */
  readonly failures: number;
  readonly windowMs: number;
  /** How many are remembered; the one seen first makes room. */
  readonly remembered: number;
}

interface Window {
  readonly sinceMs: number;
  count: number;
}

export class FailureCounter {
  readonly #limits: FailureLimits;
  readonly #now: () => number;
  readonly #windows = new Map<string, Window>();

  constructor(limits: FailureLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
  }

  /** Notes a failure. True when this one is over its limit. */
  note(whoever: string): boolean {
    const who = addressGroup(whoever);
    const now = this.#now();
    let window = this.#windows.get(who);
    // A window that begins in the future is of before the clock was set back; it would not end until then.
    if (window === undefined || now < window.sinceMs || now - window.sinceMs >= this.#limits.windowMs) {
      this.#windows.delete(who);
      const [oldest] = this.#windows.keys();
      if (oldest !== undefined && this.#windows.size >= this.#limits.remembered) this.#windows.delete(oldest);
      window = { sinceMs: now, count: 0 };
      this.#windows.set(who, window);
    }
    window.count += 1;
    return window.count > this.#limits.failures;
  }
}
