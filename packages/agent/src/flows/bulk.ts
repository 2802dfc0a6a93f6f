/** How many flows of this thread are bulk: those that small ones beside them wait for. */
import type { FlowRegistry } from './registry.ts';

/** A flow of this pace may be bulk, bytes a second, */
const PACE = 4 * 2 ** 20;
/** where it has moved so much from each look to the next, */
const LEAST = 2 ** 20;
/** and is, once it has moved so much in all without a rest: one answer of some MiB is over before anything else could be done about it. */
const MUCH = 2 ** 24;
/** Of looks: what was counted in less time says little. */
const SHORTEST_MS = 200;
/** While a flow is on its way to be bulk. */
const SOON_MS = 50;
/** Of the timer's: what no tunnel tells of, and that it is over. */
const LOOK_MS = 1_000;
/** Bulk that rests for a moment is bulk. */
const HOLD_MS = 3_000;

export class BulkWatch {
  readonly #registry: Pick<FlowRegistry, 'moving'>;
  readonly #changed: () => void;
  readonly #now: () => number;
  #flows = 0;
  #lookedAt: number;
  #soon: boolean = false;
  #seenAt = Number.NEGATIVE_INFINITY;

  /** `changed` is told when there is another number. `now`: milliseconds, of a clock that is not set back. */
  constructor(
    registry: Pick<FlowRegistry, 'moving'>,
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
    if (elapsed < (this.#soon ? SOON_MS : SHORTEST_MS)) return;
    this.#lookedAt = now;
    const { much: found, less } = this.#registry.moving(Math.max(LEAST, (PACE * elapsed) / 1_000), MUCH);
    this.#soon = less > 0;
    if (found > 0) this.#seenAt = now;
    const flows = found === 0 && now - this.#seenAt < HOLD_MS ? this.#flows : found;
    if (flows === this.#flows) return;
    this.#flows = flows;
    this.#changed();
  }
}
