/** How many of the flows that end the page is sent. Control sends a few events a second, each with what it left out. */
import type { FlowsEvent } from '../../../src/dashboard/api.ts';

/** Of the second before. */
export interface Sampling {
  readonly shown: number;
  readonly ended: number;
}

const WINDOW_MS = 1_000;
/** A sign that comes and goes with each burst cannot be read. */
const HOLD_MS = 3_000;

export class Sampler {
  #events: { readonly atMs: number; readonly shown: number; readonly omitted: number }[] = [];
  #omittedAtMs = Number.NEGATIVE_INFINITY;

  add(event: FlowsEvent, nowMs: number): void {
    this.#events.push({ atMs: nowMs, shown: event.flows.length, omitted: event.omitted });
    if (event.omitted > 0) this.#omittedAtMs = nowMs;
  }

  /** Undefined while every record comes. */
  at(nowMs: number): Sampling | undefined {
    this.#events = this.#events.filter(({ atMs }) => atMs > nowMs - WINDOW_MS);
    if (nowMs - this.#omittedAtMs > HOLD_MS) return undefined;
    const shown = this.#events.reduce((sum, event) => sum + event.shown, 0);
    return { shown, ended: this.#events.reduce((sum, event) => sum + event.omitted, shown) };
  }
}
