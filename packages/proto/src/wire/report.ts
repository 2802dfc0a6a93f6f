/** Reports and flow records, wire to model and back. Both come from agents, so every text and list is bounded. */
import { CAPABILITY } from '../model/capability.ts';
import { FLOW_ID, type FlowRecord } from '../model/flow.ts';
import { LIMITS, WIRE_LIMITS } from '../model/limits.ts';
import type { FlowOutcome } from '../model/outcome.ts';
import type { Report, ReportedSandbox } from '../model/report.ts';
import { count, endpoint, integer, list, required, sentence, serviceName, text } from './check.ts';
import type { RejectedItem } from './delta.ts';
import { actionCodec, outcomeCodec, reportedProtocolCodec, toldFromWire } from './enums.ts';
import { WireError } from './errors.ts';
import { exposedFromWire, exposedToWire } from './exposed.ts';
import { knownPortsFromWire, openedFromWire, portsToWire } from './mesh.ts';
import type * as pb from './pb.ts';
import { timestampFromWire, timestampToWire } from './time.ts';

export function reportToWire(report: Report): pb.Outgoing<pb.Report> {
  return {
    ...report,
    instances: report.instances.map(({ notListening, opened = [], ...instance }) => ({
      ...instance,
      notListening: portsToWire(notListening),
      opened: portsToWire(opened),
    })),
    exposed: exposedToWire(report.exposed),
    sandboxes: sandboxesToWire(report.sandboxes ?? []),
    problems: report.problems.map(({ code, subject, message }) => ({
      code,
      subject: sentence(subject, WIRE_LIMITS.name),
      message: sentence(message),
    })),
  };
}

/** Throws WireError. */
export function reportFromWire(wire: pb.Outgoing<pb.Report> | null | undefined): Report {
  const report = required(wire, 'report');
  return {
    endpoints: list(report.endpoints, 'report.endpoints', WIRE_LIMITS.reportEndpoints, endpoint),
    tunnelPort: integer(report.tunnelPort, 'report.tunnel_port', 0, 65_535),
    instances: list(report.instances, 'report.instances', LIMITS.services, (instance, at) => ({
      service: serviceName(instance.service, `${at}.service`),
      healthy: instance.healthy ?? false,
      notListening: knownPortsFromWire(instance.notListening, `${at}.not_listening`),
      ...openedFromWire(instance.opened, `${at}.opened`),
    })),
    gatewayAddress: text(report.gatewayAddress, 'report.gateway_address', WIRE_LIMITS.name),
    problems: list(report.problems, 'report.problems', WIRE_LIMITS.problems, (problem, at) => ({
      code: text(problem.code, `${at}.code`, WIRE_LIMITS.name),
      subject: text(problem.subject, `${at}.subject`, WIRE_LIMITS.name),
      message: text(problem.message, `${at}.message`, WIRE_LIMITS.sentence),
    })),
    tunnels: count(report.tunnels, 'report.tunnels'),
    flows: count(report.flows, 'report.flows'),
    listeners: count(report.listeners, 'report.listeners'),
    toldApart: list(report.toldApart, 'report.told_apart', LIMITS.services, serviceName),
    othersAsHost: report.othersAsHost ?? false,
    exposed: exposedFromWire(report.exposed, 'report.exposed'),
    triedByPeers: report.triedByPeers ?? false,
    ...sandboxesFromWire(report.sandboxes),
    ...(report.sight ? { sight: text(report.sight, 'report.sight', WIRE_LIMITS.name) } : {}),
    ...(report.sockets ? { sockets: text(report.sockets, 'report.sockets', WIRE_LIMITS.name) } : {}),
  };
}

function sandboxesToWire(sandboxes: readonly ReportedSandbox[]): pb.Outgoing<pb.Message<'ReportedSandbox'>>[] {
  return sandboxes.slice(0, WIRE_LIMITS.sandboxes).map(({ sinceMs, ports, user, unit, ...rest }) => ({
    ...rest,
    user: sentence(user, WIRE_LIMITS.name),
    unit: sentence(unit, WIRE_LIMITS.name),
    startTime: timestampToWire(sinceMs),
    ports: portsToWire(ports.slice(0, WIRE_LIMITS.sandboxPorts)),
  }));
}

/** Nothing where it tells of none. Throws WireError. */
function sandboxesFromWire(wire: pb.Outgoing<pb.Report>['sandboxes']): Pick<Report, 'sandboxes'> {
  const sandboxes = list(wire, 'report.sandboxes', WIRE_LIMITS.sandboxes, (one, at) => ({
    service: serviceName(one.service, `${at}.service`),
    user: text(one.user, `${at}.user`, WIRE_LIMITS.name),
    pid: count(one.pid, `${at}.pid`),
    unit: text(one.unit, `${at}.unit`, WIRE_LIMITS.name),
    sinceMs: timestampFromWire(one.startTime, `${at}.start_time`),
    ports: knownPortsFromWire(
      list(one.ports, `${at}.ports`, WIRE_LIMITS.sandboxPorts, (range) => range),
      `${at}.ports`,
    ),
    egress: one.egress ?? false,
  }));
  return sandboxes.length === 0 ? {} : { sandboxes };
}

export function flowRecordToWire(record: FlowRecord): pb.FlowRecord {
  return {
    ...record,
    protocol: reportedProtocolCodec.toWire(record.protocol),
    verdict: actionCodec.toWire(record.verdict),
    outcome: outcomeCodec.toWire(record.outcome),
    bytesSent: Math.min(record.bytesSent, WIRE_LIMITS.flowBytes),
    bytesReceived: Math.min(record.bytesReceived, WIRE_LIMITS.flowBytes),
    user: sentence(record.user, WIRE_LIMITS.name),
    unit: sentence(record.unit, WIRE_LIMITS.name),
    program: sentence(record.program, WIRE_LIMITS.name),
    detail: sentence(record.detail),
  };
}

/** Throws WireError. */
export function flowRecordFromWire(wire: pb.Outgoing<pb.FlowRecord> | null | undefined): FlowRecord {
  const record = required(wire, 'record');
  if (!FLOW_ID.test(record.id ?? '')) throw new WireError('wire-form', 'id', 'expected 16 hexadecimal digits');
  return {
    id: record.id ?? '',
    startedMs: count(record.startedMs, 'started_ms'),
    durationMs: count(record.durationMs, 'duration_ms'),
    source: text(record.source, 'source', WIRE_LIMITS.name),
    sourceHost: text(record.sourceHost, 'source_host', WIRE_LIMITS.name),
    service: text(record.service, 'service', WIRE_LIMITS.name),
    instance: text(record.instance, 'instance', WIRE_LIMITS.name),
    destinationHost: text(record.destinationHost, 'destination_host', WIRE_LIMITS.name),
    port: integer(record.port, 'port', 0, 65_535),
    protocol: toldFromWire(reportedProtocolCodec, record.protocol, 'protocol'),
    verdict: actionCodec.fromWire(record.verdict, 'verdict'),
    rule: text(record.rule, 'rule', WIRE_LIMITS.name),
    revision: count(record.revision, 'revision'),
    outcome: toldFromWire(outcomeCodec, record.outcome, 'outcome'),
    bytesSent: integer(record.bytesSent, 'bytes_sent', 0, WIRE_LIMITS.flowBytes),
    bytesReceived: integer(record.bytesReceived, 'bytes_received', 0, WIRE_LIMITS.flowBytes),
    zone: text(record.zone, 'zone', WIRE_LIMITS.name),
    user: text(record.user, 'user', WIRE_LIMITS.name),
    unit: text(record.unit, 'unit', WIRE_LIMITS.name),
    program: text(record.program, 'program', WIRE_LIMITS.name),
    detail: text(record.detail, 'detail', WIRE_LIMITS.sentence),
  };
}

/** `sequence` is the batch's number on its stream, 0 where none is counted; `capability` is that of the control it is for. */
export function flowBatchToWire(
  records: readonly FlowRecord[],
  dropped: number,
  sequence = 0,
  capability = CAPABILITY,
): pb.FlowBatch {
  const told = capability < READS_OTHER ? records.map(forTheFirst) : records;
  return { records: told.map(flowRecordToWire), dropped, sequence };
}

/** The capability from which on an outcome that is not known is kept. */
const READS_OTHER = 2;
const FIRST_OUTCOMES: ReadonlySet<FlowOutcome> = new Set([
  ...(['closed', 'reset', 'denied', 'cut', 'no-instance'] as const),
  ...(['not-listening', 'unreachable', 'overloaded', 'unanswered'] as const),
]);

/** Who reads less drops a record of an outcome that it does not know: what is nearest is told, and the sentence says the rest. */
function forTheFirst(record: FlowRecord): FlowRecord {
  return FIRST_OUTCOMES.has(record.outcome) ? record : { ...record, outcome: 'no-instance' };
}

/** Reads a batch. A bad record is left out and reported. Throws WireError when the batch is too large. */
export function flowBatchFromWire(wire: pb.Outgoing<pb.FlowBatch> | null | undefined): {
  readonly records: readonly FlowRecord[];
  readonly dropped: number;
  readonly rejected: readonly RejectedItem[];
} {
  const batch = required(wire, 'flows');
  const rejected: RejectedItem[] = [];
  const records = list(batch.records, 'flows.records', WIRE_LIMITS.flowBatch, (record) => record).flatMap(
    (record, index) => {
      try {
        return [flowRecordFromWire(record)];
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        rejected.push({ key: `flows.records[${index}]`, reason: error.message });
        return [];
      }
    },
  );
  return { records, dropped: count(batch.dropped, 'flows.dropped'), rejected };
}
