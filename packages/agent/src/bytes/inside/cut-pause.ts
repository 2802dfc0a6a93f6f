/** Messages of one length are cut to a place, unless its path or device refuses it: then seldom asked, and each time for longer. */

/** A message that was refused whole is not tried again for so many datagrams, each time twice as many. */
const FIRST_PAUSE = 64;
const LONGEST_PAUSE = 1 << 20;

/** Of one place: others' paths take what this one refuses. */
export class CutPause {
  /** Datagrams until the kernel is asked again to cut one. */
  #left = 0;
  #next = FIRST_PAUSE;

  /** To be called for each datagram that may begin a message: whether it goes by itself. */
  holds(): boolean {
    if (this.#left === 0) return false;
    this.#left -= 1;
    return true;
  }

  /** A message was refused. */
  begin(): void {
    this.#left = this.#next;
    this.#next = Math.min(2 * this.#next, LONGEST_PAUSE);
  }

  /** A message was cut. */
  end(): void {
    this.#next = FIRST_PAUSE;
  }
}
