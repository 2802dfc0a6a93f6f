/** How long control waits for what, milliseconds. */
export const TIMING = {
  /** From opening a stream to its Hello. */
  helloMs: 5_000,
  /** Changes that take nothing away are gathered for this long. */
  gatherMs: 5,
  /** Telling agents of a change holds up the loop for no longer than this at a time. */
  sliceMs: 20,
  /** An agent that disconnected keeps its instances' health for this long. */
  graceMs: 15_000,
  /** After control starts, agents that are not back yet keep their last known health for this long. */
  restartGraceMs: 30_000,
  /** An ephemeral agent that is away for this long is forgotten. */
  ephemeralMs: 30_000,
  /** An ended stream that does not take its last message is cut off after this. */
  farewellMs: 1_000,
  /** A snapshot asked for sooner after the last one has to wait. */
  resyncMs: 250,
  /** Reports of one agent reach others no more often than this. */
  reportMs: 50,
  /** Telemetry of one agent is taken in no more often than this. */
  telemetryMs: 1_000,
};

export type Timing = Readonly<typeof TIMING>;
