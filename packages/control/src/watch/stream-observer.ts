/** What is counted of the agents' streams; the counting itself is for who asks. */

export type MessageKind = 'hello' | 'standing' | 'ack' | 'report' | 'flows' | 'resync' | 'telemetry';

export interface StreamObserver {
  message(kind: MessageKind): void;
  /** `dropped` by the agent's own count, `refused` by control. */
  flows(counts: { readonly taken: number; readonly dropped: number; readonly refused: number }): void;
  telemetryRefused(): void;
  /** A connected agent enforces a revision, this many milliseconds after it came out. */
  enforced(afterMs: number): void;
}

export const NO_OBSERVER: StreamObserver = {
  message: () => undefined,
  flows: () => undefined,
  telemetryRefused: () => undefined,
  enforced: () => undefined,
};
