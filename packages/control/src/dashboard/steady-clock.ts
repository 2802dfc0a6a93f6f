/** A clock for how long something lasts: setting the host's clock back neither stops it nor turns it. */

/**
 * Milliseconds from a beginning of no meaning. It goes by the monotonic clock, and by the host's where that one ran ahead, as
 * it does over a suspend: what is to end then, such as a session, does not live longer for it. A clock that is set forward
 * ends things early, which is the safe mistake.
 */
export function steadyClock(now: () => number, monotonic: () => number = () => performance.now()): () => number {
  let aheadMs = Number.NEGATIVE_INFINITY;
  return () => {
    const at = monotonic();
    aheadMs = Math.max(aheadMs, now() - at);
    return at + aheadMs;
  };
}
