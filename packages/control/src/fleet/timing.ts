/** How long control waits for what, milliseconds. */
export interface Timing {
  /** From opening a stream to its Hello. */
  readonly helloMs: number;
  /** Changes that take nothing away are gathered for this long. */
  readonly gatherMs: number;
  /** Telling agents of a change holds up the loop for no longer than this at a time. */
  readonly sliceMs: number;
  /** An agent that disconnected keeps its instances' health for this long. */
  readonly graceMs: number;
  /** After control starts, agents that are not back yet keep their last known health for this long. */
  readonly restartGraceMs: number;
  /** An ephemeral agent that is away for this long is forgotten. */
  readonly ephemeralMs: number;
  /** An ended stream that does not take its last message is cut off after this. */
  readonly farewellMs: number;
  /** A snapshot asked for sooner after the last one has to wait. */
  readonly resyncMs: number;
  /** Reports of one agent reach others no more often than this. */
  readonly reportMs: number;
  /** Telemetry of one agent is taken in no more often than this. */
  readonly telemetryMs: number;
}

export const TIMING: Timing = {
  helloMs: 5_000,
  gatherMs: 5,
  sliceMs: 20,
  graceMs: 15_000,
  restartGraceMs: 30_000,
  ephemeralMs: 30_000,
  farewellMs: 1_000,
  resyncMs: 250,
  reportMs: 50,
  telemetryMs: 1_000,
};
