/** Log lines about what strangers and peers do wrong: one of a kind in a while, with the number of those left out. */
import type { Logger } from 'pino';

const INTERVAL = 10_000;
/** Kinds come from code, not from peers; the bound is for safety. */
const KINDS = 64;

export class LimitedLog {
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #kinds = new Map<string, { loggedAt: number; suppressed: number }>();

  constructor(logger: Logger, now: () => number) {
    this.#logger = logger;
    this.#now = now;
  }

  /** `kind` is what is limited: an event and its reason, never a peer's words. */
  warn(event: string, reason: string, fields: Readonly<Record<string, unknown>>): void {
    const kind = `${event}/${reason}`;
    const now = this.#now();
    const seen = this.#kinds.get(kind);
    if (seen !== undefined && now - seen.loggedAt < INTERVAL) {
      seen.suppressed += 1;
      return;
    }
    if (seen === undefined && this.#kinds.size >= KINDS) return;
    this.#kinds.set(kind, { loggedAt: now, suppressed: 0 });
    const suppressed = seen?.suppressed ?? 0;
    this.#logger.warn({ event, reason, ...(suppressed > 0 ? { suppressed } : {}), ...fields }, `${event}: ${reason}`);
  }
}
