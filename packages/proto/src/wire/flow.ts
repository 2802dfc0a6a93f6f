/** Flows as the API tells them, to the wire and back. */
import type { FlowRecord } from '../model/flow.ts';
import { callerName, callerToWire } from './caller.ts';
import { required } from './check.ts';
import type * as pb from './pb.ts';
import { flowRecordFromWire, flowRecordToWire } from './report.ts';
import { durationFromWire, durationToWire, timestampFromWire, timestampToWire } from './time.ts';

export function flowToWire(record: FlowRecord): pb.Outgoing<pb.Flow> {
  const { startedMs, durationMs, source, ...rest } = flowRecordToWire(record);
  return {
    ...rest,
    startTime: timestampToWire(startedMs),
    duration: durationToWire(durationMs),
    caller: callerToWire(source),
  };
}

/** Throws WireError. */
export function flowFromWire(wire: pb.Outgoing<pb.Flow> | null | undefined): FlowRecord {
  const flow = required(wire, 'flow');
  return flowRecordFromWire({
    ...flow,
    startedMs: timestampFromWire(flow.startTime, 'start_time'),
    durationMs: durationFromWire(flow.duration, 'duration') ?? 0,
    source: callerName(flow.caller, 'caller'),
  });
}
