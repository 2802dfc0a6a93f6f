/** Traces that an agent was asked for and has not answered. */
import { WIRE_LIMITS } from '@weft/proto';
import type { pb } from '@weft/proto/wire';

export interface TraceOutcome {
  readonly reachable: boolean;
  /** Microseconds; 0 when not reachable. */
  readonly roundTripUs: number;
  /** Why not, when not. */
  readonly detail: string;
}

/** Asks an agent to try a path. */
export interface PathTracer {
  /** Undefined when the agent that is to try is not connected, or does not answer in time. */
  trace(fromAgentId: string, toAgentId: string, timeoutMs: number): Promise<TraceOutcome | undefined>;
}

/** More than this many at once are not asked: explain is for people. */
const MOST = 64;

export class Traces {
  readonly #waiting = new Map<number, (outcome: TraceOutcome | undefined) => void>();
  #last = 0;

  /** `send` is called at once with the identifier to ask under. */
  ask(timeoutMs: number, send: (id: number) => void): Promise<TraceOutcome | undefined> {
    if (this.#waiting.size >= MOST) return Promise.resolve(undefined);
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle(undefined), timeoutMs);
      const settle = (outcome: TraceOutcome | undefined): void => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        resolve(outcome);
      };
      this.#waiting.set(id, settle);
      send(id);
    });
  }

  answered({ id, reachable, roundTripUs, detail }: pb.TraceResult): void {
    this.#waiting.get(id)?.({ reachable, roundTripUs, detail: detail.slice(0, WIRE_LIMITS.sentence) });
  }

  /** The agent is gone: nothing more will be answered. */
  close(): void {
    for (const settle of [...this.#waiting.values()]) settle(undefined);
  }
}
