/** Questions that an agent was asked and has not answered: whether it reaches another, and which of its flows are open. */
import type { OpenFlows, OpenFlowsQuestion, PlaceOutcome, TriedPlace } from '@weft/proto';
import { openFlowsFromWire, outcomesFromWire, type pb, sentence, WireError } from '@weft/proto/wire';

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

/** Asks an agent for the flows that are open at its host. */
export interface OpenFlowsAsker {
  /** Undefined when it is not connected, or does not answer in time and in form. */
  openFlows(agentId: string, asked: OpenFlowsQuestion, timeoutMs: number): Promise<OpenFlows | undefined>;
}

/** Asks an agent to try whether places of another's host answer. */
export interface PlaceTrier {
  /** In the order of the places; undefined when it is not connected, or does not answer in time and in form. */
  tryPlaces(
    fromAgentId: string,
    agentId: string,
    places: readonly TriedPlace[],
    timeoutMs: number,
  ): Promise<readonly PlaceOutcome[] | undefined>;
}

/** More than this many at once are not asked of one agent: they are for people. */
const MOST = 64;

export class Questions<Answer> {
  readonly #waiting = new Map<number, (answer: Answer | undefined) => void>();
  #last = 0;

  /** `send` is called at once with the identifier to ask under. */
  ask(timeoutMs: number, send: (id: number) => void): Promise<Answer | undefined> {
    if (this.#waiting.size >= MOST) return Promise.resolve(undefined);
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle(undefined), timeoutMs);
      const settle = (answer: Answer | undefined): void => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        resolve(answer);
      };
      this.#waiting.set(id, settle);
      send(id);
    });
  }

  /** What nobody waits for, or not any more, is not even read. */
  answered<Result extends { readonly id: number }>(result: Result, read: (result: Result) => Answer | undefined): void {
    this.#waiting.get(result.id)?.(read(result));
  }

  /** The agent is gone: nothing more will be answered. */
  close(): void {
    for (const settle of [...this.#waiting.values()]) settle(undefined);
  }
}

export function traceOutcome({ reachable, roundTripUs, detail }: pb.TraceResult): TraceOutcome {
  return { reachable, roundTripUs, detail: sentence(detail) };
}

/** As openFlowsAnswer. */
export function outcomesAnswer(result: pb.TryPlacesResult): readonly PlaceOutcome[] | undefined {
  try {
    return outcomesFromWire(result);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return undefined;
  }
}

/** What is out of form is no answer, and must not cost an agent its lifeline. */
export function openFlowsAnswer(result: pb.OpenFlowsResult): OpenFlows | undefined {
  try {
    return openFlowsFromWire(result);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return undefined;
  }
}
