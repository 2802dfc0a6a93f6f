/** What is recorded of a flow when it ends. */
import type { Action, Protocol } from './mesh.ts';
import type { FlowOutcome } from './outcome.ts';

/** One flow from open to close; see FlowRecord in mesh.proto for each field. */
export interface FlowRecord {
  readonly id: string;
  readonly startedMs: number;
  readonly durationMs: number;
  readonly source: string;
  readonly sourceHost: string;
  readonly service: string;
  readonly instance: string;
  readonly destinationHost: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly verdict: Action;
  readonly rule: string;
  readonly revision: number;
  readonly outcome: FlowOutcome;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly detail: string;
}
