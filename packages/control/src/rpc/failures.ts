/** Counts failed attempts an address, over a window, in bounded memory. */

export interface FailureLimits {
  /** Failures an address may have in one window before it is over the limit. */
  readonly failures: number;
  readonly windowMs: number;
  /** Addresses remembered; the one seen first makes room. */
  readonly addresses: number;
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

  /** Notes a failure. True when the address is over its limit. */
  note(address: string): boolean {
    const now = this.#now();
    let window = this.#windows.get(address);
    if (window === undefined || now - window.sinceMs >= this.#limits.windowMs) {
      this.#windows.delete(address);
      const [oldest] = this.#windows.keys();
      if (oldest !== undefined && this.#windows.size >= this.#limits.addresses) this.#windows.delete(oldest);
      window = { sinceMs: now, count: 0 };
      this.#windows.set(address, window);
    }
    window.count += 1;
    return window.count > this.#limits.failures;
  }
}
