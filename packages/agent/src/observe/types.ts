/** Where flows, problems and counters go. */
import type { FlowRecord, Problem } from '@weft/proto';

/** Takes exactly one record of each flow when it ends. Never blocks: over its bound it counts the loss. */
export interface FlowSink {
  record(flow: FlowRecord): void;
}

/** Problems that stand now, by code and subject; shown by `weft status` and reported to control. */
export interface Problems {
  raise(problem: Problem): void;
  clear(code: string, subject: string): void;
  readonly current: readonly Problem[];
}
