/**
 * When the first thread, and when the second, leaves its tunnels, so that peers dial anew and what they begin goes to the other: seldom, however bulk comes and
 * goes. It costs each peer a handshake, and any that may call could have it done again and again.
 */
import type { SecondThreadTimes } from '../options.ts';

export interface TunnelTurnsOptions {
  readonly times: Pick<SecondThreadTimes, 'settle' | 'back' | 'calm'>;
  readonly leaveFirst: () => void;
  readonly leaveSecond: () => void;
}

export class TunnelTurns {
  readonly #options: TunnelTurnsOptions;
  #beside: boolean = false;
  /** Since when no bulk moves. */
  #overAt = 0;
  /** Whether it has tunnels in which peers go on to begin what is for the other. */
  #first: boolean = false;
  #second: boolean = false;
  /** When each was told to leave last. */
  #firstAt = Number.NEGATIVE_INFINITY;
  #secondAt = Number.NEGATIVE_INFINITY;
  /** When the first leaves what greeted it meanwhile. */
  #restAt = Number.POSITIVE_INFINITY;

  constructor(options: TunnelTurnsOptions) {
    this.#options = options;
  }

  /** The second takes what is new, from here on. `now`: milliseconds, of a clock that is not set back. */
  begin(now: number): void {
    this.#beside = false;
    this.look(true, now);
  }

  /** @param beside whether bulk moves on the first. */
  look(beside: boolean, now: number): void {
    if (beside && !this.#beside) [this.#first, this.#second] = [true, true];
    if (!beside && this.#beside) this.#overAt = now;
    this.#beside = beside;
    if (beside) this.#toSecond(now);
    else this.#toFirst(now);
  }

  #toSecond(now: number): void {
    const { times, leaveFirst } = this.#options;
    if (this.#first && now - this.#firstAt >= times.calm) {
      this.#first = false;
      this.#firstAt = now;
      this.#restAt = now + times.settle;
      leaveFirst();
    } else if (now >= this.#restAt) {
      // A part of the last: what greeted then is a tunnel by now.
      this.#restAt = Number.POSITIVE_INFINITY;
      leaveFirst();
    }
  }

  /** One thread has more in each turn than two. */
  #toFirst(now: number): void {
    const { times, leaveSecond } = this.#options;
    if (now >= this.#restAt) this.#restAt = Number.POSITIVE_INFINITY;
    if (!this.#second || now - this.#overAt < times.back || now - this.#secondAt < times.calm) return;
    this.#second = false;
    this.#secondAt = now;
    leaveSecond();
  }
}
