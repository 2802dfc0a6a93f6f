/** How many flows of this thread are bulk: those that small ones beside them wait for. */
import type { FlowRegistry } from './registry.ts';

/** A flow of this pace is bulk, bytes a second, */
const PACE = 4 * 2 ** 20;
/** and has moved so much since the last look. */
const LEAST = 2 ** 20;
/** Of looks: what was counted in less time says little. */
const SHORTEST_MS = 200;
/** Of the timer's: what no tunnel tells of, and that it is over. */
const LOOK_MS = 1_000;
/** Bulk that rests for a moment is bulk. */
const HOLD_MS = 3_000;

export class BulkWatch {
  readonly #registry: Pick<FlowRegistry, 'moved'>;
  readonly #changed: () => void;
  readonly #now: () => number;
  #flows = 0;
  #lookedAt: number;
  #seenAt = Number.NEGATIVE_INFINITY;

  /** `changed` is told when there is another number. `now`: milliseconds, of a clock that is not set back. */
  constructor(
    registry: Pick<FlowRegistry, 'moved'>,
    signal: AbortSignal,
    changed: () => void = () => {},
    now: () => number = () => performance.now(),
  ) {
    this.#registry = registry;
    this.#changed = changed;
    this.#now = now;
    this.#lookedAt = now();
    const timer = setInterval(() => this.look(), LOOK_MS).unref();
    signal.addEventListener('abort', () => clearInterval(timer), { once: true });
  }

  /** As of the last look. */
  get flows(): number {
    return this.#flows;
  }

  /** Costs nothing when it was done just now, so that whoever sees bytes pass may ask for it. */
  look(): void {
    const now = this.#now();
    const elapsed = now - this.#lookedAt;
    if (elapsed < SHORTEST_MS) return;
    this.#lookedAt = now;
    const found = this.#registry.moved(Math.max(LEAST, (PACE * elapsed) / 1_000));
    if (found > 0) this.#seenAt = now;
    const flows = found === 0 && now - this.#seenAt < HOLD_MS ? this.#flows : found;
    if (flows === this.#flows) return;
    this.#flows = flows;
    this.#changed();
  }
}
