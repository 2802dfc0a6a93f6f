/** The times that changes go by, beside the clock that says when they were made, which may be set. */
import { RetentionClock, type RetentionClockOptions } from '../retention-clock.ts';
import type { Contents } from '../store/rows.ts';

export interface Clocks {
  /** For what is held for a while, and its end written down: it goes on as long as control runs, however the clock is set. */
  passed(): number;
  /** For what is forgotten after long: the clock's, once it is believed. To be asked for each minute, for jumps that come and go. */
  believed(): number;
}

/** On from what `contents` were written at. */
export function startClocks(
  { now, steady }: Omit<RetentionClockOptions, 'newestMs'>,
  { addresses, tokens, endedAgents }: Pick<Contents, 'addresses' | 'tokens' | 'endedAgents'>,
): Clocks {
  const released = addresses.reduce((last, { releasedMs = 0 }) => Math.max(last, releasedMs), 0);
  const made = [...tokens.map(({ createdMs }) => createdMs), ...endedAgents.map(({ endedMs }) => endedMs)];
  const retention = new RetentionClock({ now, steady, newestMs: made.reduce((last, ms) => Math.max(last, ms), 0) });
  const aheadMs = (released === 0 ? now() : released) - steady();
  return { passed: () => Math.ceil(steady() + aheadMs), believed: () => retention.read().nowMs };
}
