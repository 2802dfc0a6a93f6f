/**
 * The newest flows that pass a filter, for the live table. Events come at their own pace; what is shown changes at most once
 * per frame, and stands still while paused.
 */
import { type ReadonlySignal, type Signal, signal } from '@preact/signals';
import type { FlowView } from '../../../src/dashboard/api.ts';
import { type Filter, passes } from './flow-filter.ts';

/** Of those that pass; older ones are in the history. */
export const KEPT = 1_000;

/** Runs `work` before the next paint; hidden pages do not paint, and so do not work. */
export type Schedule = (work: () => void) => void;

export class FlowTail {
  readonly #schedule: Schedule;
  readonly #shown: Signal<readonly FlowView[]> = signal([]);
  readonly #paused: Signal<boolean> = signal(false as boolean);
  readonly #waiting = signal(0);
  /** By cursor, oldest first. */
  #kept: readonly FlowView[] = [];
  #filter: Filter = {};
  #scheduled: boolean = false;
  /** Newest cursor on show when the pause began. */
  #pausedAt = 0;

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
  }

  /** Newest first. */
  get shown(): ReadonlySignal<readonly FlowView[]> {
    return this.#shown;
  }

  get paused(): ReadonlySignal<boolean> {
    return this.#paused;
  }

  /** How many came since the pause, as far as they are kept. */
  get waiting(): ReadonlySignal<number> {
    return this.#waiting;
  }

  /** In any order; one that is kept already, as after a break of the connection, is not taken twice. */
  add(flows: readonly FlowView[]): void {
    const newest = this.#kept.at(-1)?.cursor ?? -1;
    const passed = flows.filter((flow) => passes(this.#filter, flow));
    if (passed.length === 0) return;
    const kept = new Set(passed.some(({ cursor }) => cursor <= newest) ? this.#kept.map(({ cursor }) => cursor) : []);
    const fresh = passed.filter(({ cursor }) => !kept.has(cursor));
    this.#kept = [...this.#kept, ...fresh].sort((left, right) => left.cursor - right.cursor).slice(-KEPT);
    this.#later();
  }

  /** Ends a pause: what stood still was the answer to another filter. */
  filter(filter: Filter): void {
    this.#filter = filter;
    this.#kept = this.#kept.filter((flow) => passes(filter, flow));
    this.resume();
  }

  pause(): void {
    if (this.#paused.peek()) return;
    this.#pausedAt = this.#shown.peek()[0]?.cursor ?? -1;
    this.#paused.value = true;
  }

  resume(): void {
    this.#paused.value = false;
    this.#show();
  }

  clear(): void {
    this.#kept = [];
    this.resume();
  }

  #later(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#schedule(() => {
      this.#scheduled = false;
      this.#show();
    });
  }

  #show(): void {
    if (this.#paused.peek()) {
      this.#waiting.value = this.#kept.filter(({ cursor }) => cursor > this.#pausedAt).length;
    } else {
      this.#shown.value = this.#kept.toReversed();
      this.#waiting.value = 0;
    }
  }
}
