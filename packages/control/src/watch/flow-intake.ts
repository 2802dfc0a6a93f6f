/** Flow records as they come from an agent. It may tell of flows at its own host and of no others. */
import type { FlowRecord } from '@weft/proto';
import { flowFromWire, MAX_FLOW_BATCH, type pb, WireError } from '@weft/proto/wire';

export interface AcceptedFlows {
  readonly records: FlowRecord[];
  /** Lost before they were sent, by the agent's own count. */
  readonly dropped: number;
  /** Out of form, of other hosts, or too many in one batch. */
  readonly refused: number;
}

export function acceptFlows(batch: pb.FlowBatch, host: string): AcceptedFlows {
  const records: FlowRecord[] = [];
  for (const wire of batch.records.slice(0, MAX_FLOW_BATCH)) {
    const record = read(wire);
    if (record?.sourceHost === host || record?.destinationHost === host) records.push(record);
  }
  const dropped = Number.isSafeInteger(batch.dropped) ? Math.min(batch.dropped, MAX_DROPPED) : MAX_DROPPED;
  return { records, dropped, refused: batch.records.length - records.length };
}

/** A count above this in one batch is a lie; believing it would only spoil the sum. */
const MAX_DROPPED = 1e9;

function read(wire: pb.FlowRecord): FlowRecord | undefined {
  try {
    return flowFromWire(wire);
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}
