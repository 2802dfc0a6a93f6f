/** When to try control again. It knows neither sockets nor clocks: it is told how a session ended and answers how long to wait. */

/** How a session with control ended. */
export type ControlStreamEnd =
  /** The connection broke or was never made. `served` says whether control's word was heard on it. */
  | { readonly type: 'lost'; readonly served: boolean; readonly cause: Error }
  /** This agent ended it, for it could not enforce in full what control said. */
  | { readonly type: 'unenforced'; readonly served: boolean; readonly cause: Error }
  /** Control says that the membership is over. Asking often will not change its mind. */
  | { readonly type: 'revoked'; readonly reason: string }
  | Held;

/** Control does not serve this agent for now, and took nothing from it. */
export interface Held {
  readonly type: 'held';
  readonly reason: string;
  /** To stay away for at least, milliseconds. */
  readonly retryMs: number;
  /** Control knows nothing of this agent. */
  readonly unknown: boolean;
}

export interface RetryLimits {
  readonly minimumMs: number;
  readonly maximumMs: number;
  /** Wait after a revocation. */
  readonly revokedMs: number;
}

export const CONTROL_RETRY: RetryLimits = { minimumMs: 250, maximumMs: 10_000, revokedMs: 60_000 };

/** Exponential backoff with jitter: a thousand agents whose control restarts must not all come back at one moment. */
export class Retry {
  readonly #limits: RetryLimits;
  readonly #random: () => number;
  #failures = 0;

  /** @param random uniform in [0, 1) */
  constructor(limits: RetryLimits, random: () => number) {
    this.#limits = limits;
    this.#random = random;
  }

  /** Milliseconds to wait before the next session. */
  delayAfter(end: ControlStreamEnd): number {
    const { minimumMs, maximumMs, revokedMs } = this.#limits;
    // A session in which control had its word was a good one: the next failure starts from the bottom again.
    this.#failures = end.type === 'revoked' || end.type === 'held' || end.served ? 0 : this.#failures + 1;
    if (end.type === 'revoked') return this.#jitter(revokedMs);
    if (end.type === 'held') return end.retryMs + this.#jitter(maximumMs);
    const ceiling = Math.min(maximumMs, minimumMs * 2 ** Math.min(this.#failures, 16));
    return Math.max(minimumMs, this.#jitter(ceiling));
  }

  /** Half fixed, half random: spread out, but never close to none. */
  #jitter(ceiling: number): number {
    return Math.round(ceiling / 2 + (ceiling / 2) * this.#random());
  }
}
