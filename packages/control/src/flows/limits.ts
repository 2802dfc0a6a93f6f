/** How much of the flows is kept, and in what pieces. */
export interface FlowLimits {
  /** Older records go. */
  readonly maxAgeMs: number;
  /** Bytes on disk; the oldest go first. */
  readonly maxBytes: number;
  readonly segmentRecords: number;
  readonly segmentMs: number;
  /** Sorts of records in one segment: bounds what a peer gains by never telling the same thing twice. */
  readonly segmentShapes: number;
}

export const FLOW_LIMITS: FlowLimits = {
  maxAgeMs: 24 * 3_600_000,
  maxBytes: 1_024 * 1_048_576,
  segmentRecords: 500_000,
  segmentMs: 3_600_000,
  segmentShapes: 50_000,
};

/** So that the window shrinks by a part of it when it is full, and not by all. */
export function segmentBytes({ maxBytes }: FlowLimits): number {
  return Math.floor(maxBytes / 8);
}
