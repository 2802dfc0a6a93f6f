/** Open flows: the question and its answer between control and an agent, and as the API tells them. */
import { FLOW_ID } from '../model/flow.ts';
import { WIRE_LIMITS } from '../model/limits.ts';
import type { OpenFlow, OpenFlows, OpenFlowsQuestion } from '../model/open-flow.ts';
import { callerName, callerToWire } from './caller.ts';
import { count, integer, list, sentence, text } from './check.ts';
import { reportedProtocolCodec, toldFromWire } from './enums.ts';
import { WireError } from './errors.ts';
import type * as pb from './pb.ts';
import { durationFromWire, durationToWire, timestampFromWire, timestampToWire } from './time.ts';

export function openFlowsQuestionToWire(
  id: number,
  { filter, handedOverTo, most }: OpenFlowsQuestion,
): pb.Outgoing<pb.OpenFlowsRequest> {
  return { id, ...filter, most, handedOver: handedOverTo !== undefined, destinationHosts: handedOverTo ?? [] };
}

/** Throws WireError. */
export function openFlowsQuestionFromWire(wire: pb.OpenFlowsRequest): OpenFlowsQuestion {
  const name = (field: 'source' | 'service' | 'host'): string => text(wire[field], field, WIRE_LIMITS.name);
  const port = integer(wire.port, 'port', 0, 65_535);
  const words = (['source', 'service', 'host'] as const).filter((field) => name(field) !== '');
  return {
    filter: {
      ...Object.fromEntries(words.map((field) => [field, name(field)])),
      ...(port === 0 ? {} : { port }),
    },
    ...(wire.handedOver
      ? { handedOverTo: list(wire.destinationHosts, 'destination_hosts', WIRE_LIMITS.openFlowHosts, hostOf) }
      : {}),
    most: Math.min(wire.most, WIRE_LIMITS.openFlows),
  };
}

function hostOf(host: string, at: string): string {
  return text(host, at, WIRE_LIMITS.name);
}

export function openFlowsToWire(id: number, { flows, omitted }: OpenFlows): pb.Outgoing<pb.OpenFlowsResult> {
  return { id, flows: flows.map(liveFlowToWire), omitted: Math.min(omitted, 0xffffffff) };
}

/** Throws WireError. */
export function openFlowsFromWire(wire: pb.Outgoing<pb.OpenFlowsResult>): OpenFlows {
  return {
    flows: list(wire.flows, 'open_flows.flows', WIRE_LIMITS.openFlows, liveFlowFromWire),
    omitted: count(wire.omitted, 'open_flows.omitted'),
  };
}

function liveFlowToWire({ protocol, bytesSent, bytesReceived, ...flow }: OpenFlow): pb.Outgoing<pb.LiveFlow> {
  return {
    ...flow,
    protocol: reportedProtocolCodec.toWire(protocol),
    bytesSent: Math.min(bytesSent, WIRE_LIMITS.flowBytes),
    bytesReceived: Math.min(bytesReceived, WIRE_LIMITS.flowBytes),
    user: sentence(flow.user, WIRE_LIMITS.name),
    unit: sentence(flow.unit, WIRE_LIMITS.name),
    program: sentence(flow.program, WIRE_LIMITS.name),
  };
}

function liveFlowFromWire(flow: pb.Outgoing<pb.LiveFlow>, at: string): OpenFlow {
  const name = (value: string | null | undefined, field: string): string =>
    text(value, `${at}.${field}`, WIRE_LIMITS.name);
  if (!FLOW_ID.test(flow.id ?? '')) throw new WireError('wire-form', `${at}.id`, 'expected 16 hexadecimal digits');
  return {
    id: flow.id ?? '',
    ageMs: integer(flow.ageMs, `${at}.age_ms`, 0, WIRE_LIMITS.openFlowAgeMs),
    idleMs: integer(flow.idleMs, `${at}.idle_ms`, 0, WIRE_LIMITS.openFlowAgeMs),
    source: name(flow.source, 'source'),
    sourceHost: name(flow.sourceHost, 'source_host'),
    service: name(flow.service, 'service'),
    instance: name(flow.instance, 'instance'),
    destinationHost: name(flow.destinationHost, 'destination_host'),
    port: integer(flow.port, `${at}.port`, 0, 65_535),
    protocol: toldFromWire(reportedProtocolCodec, flow.protocol, `${at}.protocol`),
    bytesSent: integer(flow.bytesSent, `${at}.bytes_sent`, 0, WIRE_LIMITS.flowBytes),
    bytesReceived: integer(flow.bytesReceived, `${at}.bytes_received`, 0, WIRE_LIMITS.flowBytes),
    user: name(flow.user, 'user'),
    unit: name(flow.unit, 'unit'),
    program: name(flow.program, 'program'),
  };
}

export function openFlowToWire({ ageMs, idleMs, source, ...flow }: OpenFlow, nowMs: number): pb.Outgoing<pb.OpenFlow> {
  return {
    ...flow,
    startTime: timestampToWire(Math.max(1, nowMs - ageMs)),
    idle: durationToWire(idleMs),
    caller: callerToWire(source),
    protocol: reportedProtocolCodec.toWire(flow.protocol),
  };
}

/** An open flow as the API tells it. */
export interface ToldOpenFlow extends Omit<OpenFlow, 'ageMs'> {
  /** Milliseconds since the Unix epoch. */
  readonly startedMs: number;
}

/** Throws WireError. */
export function openFlowFromWire(wire: pb.Outgoing<pb.OpenFlow>): ToldOpenFlow {
  const { ageMs: _, ...flow } = liveFlowFromWire(
    { ...wire, idleMs: durationFromWire(wire.idle, 'idle') ?? 0, source: callerName(wire.caller, 'caller') },
    'flow',
  );
  return { ...flow, startedMs: timestampFromWire(wire.startTime, 'start_time') };
}
