/** What moves on an agent, as the API tells it: without its pairs, which are told of all agents at once. */
import type { Telemetry } from '../model/telemetry.ts';
import type * as pb from './pb.ts';
import { telemetryFromWire } from './telemetry.ts';
import { durationFromWire, durationToWire, timestampFromWire, timestampToWire } from './time.ts';

export function agentTelemetryToWire(telemetry: Telemetry): pb.Outgoing<pb.AgentTelemetry> {
  const { pairsOmitted, flowsQueued, recordsLost, peers } = telemetry;
  return {
    sendTime: timestampToWire(telemetry.sentMs),
    interval: durationToWire(telemetry.intervalMs),
    pairsOmitted,
    peers: peers.map(({ roundTripUs, ...peer }) => ({
      ...peer,
      roundTrip: roundTripUs === 0 ? null : durationToWire(roundTripUs / 1_000),
    })),
    loopDelay: durationToWire(telemetry.loopDelayUs / 1_000),
    flowsQueued,
    recordsLost,
  };
}

/** Throws WireError. */
export function agentTelemetryFromWire(wire: pb.Outgoing<pb.AgentTelemetry>): Telemetry {
  const { pairsOmitted = 0, flowsQueued = 0, recordsLost = 0, peers = [] } = wire;
  return telemetryFromWire({
    sentMs: timestampFromWire(wire.sendTime, 'telemetry.send_time'),
    intervalMs: durationFromWire(wire.interval, 'telemetry.interval') ?? 0,
    pairsOmitted,
    peers: peers.map(({ roundTrip, ...peer }, index) => ({
      ...peer,
      roundTripUs: microseconds(roundTrip, `telemetry.peers[${index}].round_trip`),
    })),
    loopDelayUs: microseconds(wire.loopDelay, 'telemetry.loop_delay'),
    flowsQueued,
    recordsLost,
  });
}

function microseconds(wire: pb.Outgoing<pb.Duration> | null | undefined, field: string): number {
  return Math.round((durationFromWire(wire, field) ?? 0) * 1_000);
}
