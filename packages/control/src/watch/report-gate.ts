/** Lets one agent's reports through at a bounded pace: the first at once, and of those that follow too soon the newest. */
import type { Report } from '@weft/proto';

export class ReportGate {
  readonly #paceMs: number;
  readonly #pass: (report: Report) => void;
  #held: Report | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(paceMs: number, pass: (report: Report) => void) {
    this.#paceMs = paceMs;
    this.#pass = pass;
  }

  offer(report: Report): void {
    if (this.#timer !== undefined) {
      this.#held = report;
      return;
    }
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const held = this.#held;
      this.#held = undefined;
      if (held !== undefined) this.offer(held);
    }, this.#paceMs).unref();
    this.#pass(report);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#held = undefined;
  }
}
