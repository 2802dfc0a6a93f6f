/** How late the event loop runs. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Microseconds late, of the time since the last look; 0 when the loop was not late, or too little time has passed to tell. */
export interface LoopDelay {
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

export interface LoopDelayWatch {
  /** Begins a new interval. Whoever has an interval of its own needs a watch of its own. */
  take(): LoopDelay;
  close(): void;
}

/**
 * A timer that should run this often, and how late it does. Five looks a second leave an idle program idle. Of the 25 in five
 * seconds the latest is the 99th percentile, so that one stall is seen; of a scrape's 75 likewise. What holds the loop up for
 * less than this is seen when a look falls into it, and so the more the more often it happens.
 */
const EVERY_MS = 200;

export function watchLoopDelay(): LoopDelayWatch {
  const times = monitorEventLoopDelay({ resolution: EVERY_MS });
  times.enable();
  return {
    take() {
      if (times.count === 0) return { p50Us: 0, p99Us: 0, maxUs: 0 };
      const late = {
        p50Us: lateUs(times.percentile(50)),
        p99Us: lateUs(times.percentile(99)),
        maxUs: lateUs(times.max),
      };
      times.reset();
      return late;
    },
    close: () => void times.disable(),
  };
}

/** Node tells the time from one run of the timer to the next. */
function lateUs(betweenNs: number): number {
  return Math.max(0, Math.round(betweenNs / 1_000 - EVERY_MS * 1_000));
}
