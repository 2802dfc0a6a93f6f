/** How much of the flows is kept, and in what pieces. */
export const FLOW_LIMITS = {
  /** Older records go. */
  maxAgeMs: 24 * 3_600_000,
  /** Bytes on disk of all networks; the oldest of the one that holds most go first. */
  maxBytes: 1_024 * 1_048_576,
  segmentRecords: 500_000,
  segmentMs: 3_600_000,
  /** Sorts of records in one segment: bounds what a peer gains by never telling the same thing twice. */
  segmentShapes: 50_000,
};

export type FlowLimits = Readonly<typeof FLOW_LIMITS>;

/** A network that has its share makes room by a part of that, and not by all; and no segment is so small that it is all tables. */
export function segmentBytes({ maxBytes }: FlowLimits, networks: number): number {
  return Math.floor(maxBytes / Math.min(8 * Math.max(1, networks), 1_024));
}
