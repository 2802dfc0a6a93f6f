/** Telemetry, wire to model and back. It comes from agents, so every text and list is bounded. */
import { WIRE_LIMITS } from '../model/limits.ts';
import type { DeniedAttempt, PairTraffic, PeerTunnels, Telemetry } from '../model/telemetry.ts';
import { count, integer, list, required, text } from './check.ts';
import { reportedProtocolCodec, toldFromWire } from './enums.ts';
import type * as pb from './pb.ts';

const MAX_UINT32 = 0xffffffff;

export function telemetryToWire(telemetry: Telemetry): pb.Outgoing<pb.Telemetry> {
  return { ...telemetry, pairs: telemetry.pairs.map(pairToWire), peers: [...telemetry.peers] };
}

/** Throws WireError. */
export function telemetryFromWire(wire: pb.Outgoing<pb.Telemetry> | null | undefined): Telemetry {
  const telemetry = required(wire, 'telemetry');
  return {
    sentMs: count(telemetry.sentMs, 'telemetry.sent_ms'),
    intervalMs: integer(telemetry.intervalMs, 'telemetry.interval_ms', 1, MAX_UINT32),
    pairs: list(telemetry.pairs, 'telemetry.pairs', WIRE_LIMITS.trafficPairs, pairFromWire),
    pairsOmitted: count(telemetry.pairsOmitted, 'telemetry.pairs_omitted'),
    peers: list(telemetry.peers, 'telemetry.peers', WIRE_LIMITS.peerTunnels, peerFromWire),
    loopDelayUs: count(telemetry.loopDelayUs, 'telemetry.loop_delay_us'),
    flowsQueued: count(telemetry.flowsQueued, 'telemetry.flows_queued'),
    recordsLost: count(telemetry.recordsLost, 'telemetry.records_lost'),
  };
}

function pairToWire({ lastDenied, ...pair }: PairTraffic): pb.Outgoing<pb.PairTraffic> {
  return lastDenied === undefined ? pair : { ...pair, lastDenied: deniedToWire(lastDenied) };
}

export function deniedToWire(denied: DeniedAttempt): pb.DeniedAttempt {
  return { ...denied, protocol: reportedProtocolCodec.toWire(denied.protocol) };
}

function pairFromWire(pair: pb.Outgoing<pb.PairTraffic>, at: string): PairTraffic {
  const { lastDenied } = pair;
  return {
    source: text(pair.source, `${at}.source`, WIRE_LIMITS.name),
    sourceHost: text(pair.sourceHost, `${at}.source_host`, WIRE_LIMITS.name),
    service: text(pair.service, `${at}.service`, WIRE_LIMITS.name),
    destinationHost: text(pair.destinationHost, `${at}.destination_host`, WIRE_LIMITS.name),
    open: count(pair.open, `${at}.open`),
    opened: count(pair.opened, `${at}.opened`),
    denied: count(pair.denied, `${at}.denied`),
    failed: count(pair.failed, `${at}.failed`),
    bytesSent: count(pair.bytesSent, `${at}.bytes_sent`),
    bytesReceived: count(pair.bytesReceived, `${at}.bytes_received`),
    ...(lastDenied === null || lastDenied === undefined
      ? {}
      : { lastDenied: deniedFromWire(lastDenied, `${at}.last_denied`) }),
  };
}

function deniedFromWire(denied: pb.Outgoing<pb.DeniedAttempt>, at: string): DeniedAttempt {
  return {
    port: integer(denied.port, `${at}.port`, 0, 65_535),
    protocol: toldFromWire(reportedProtocolCodec, denied.protocol, `${at}.protocol`),
    rule: text(denied.rule, `${at}.rule`, WIRE_LIMITS.name),
    revision: count(denied.revision, `${at}.revision`),
  };
}

function peerFromWire(peer: pb.Outgoing<pb.PeerTunnels>, at: string): PeerTunnels {
  return {
    host: text(peer.host, `${at}.host`, WIRE_LIMITS.name),
    tunnels: count(peer.tunnels, `${at}.tunnels`),
    roundTripUs: count(peer.roundTripUs, `${at}.round_trip_us`),
    bytesSent: count(peer.bytesSent, `${at}.bytes_sent`),
    bytesReceived: count(peer.bytesReceived, `${at}.bytes_received`),
    pathSize: integer(peer.pathSize, `${at}.path_size`, 0, 65_535),
  };
}
