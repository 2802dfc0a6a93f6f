/** Reports and flow records, wire to model and back. Both come from agents, so every text and list is bounded. */
import type { FlowRecord } from '../model/flow.ts';
import { LIMITS } from '../model/limits.ts';
import type { Report } from '../model/report.ts';
import { count, endpoint, integer, list, required, sentence, serviceName, text } from './check.ts';
import type { RejectedItem } from './delta.ts';
import { actionCodec, outcomeCodec, protocolCodec } from './enums.ts';
import { WireError } from './errors.ts';
import { portsFromWire, portsToWire } from './mesh.ts';
import type * as pb from './pb.ts';

const MAX_REPORT_ENDPOINTS = 16;
export const MAX_PROBLEMS = 256;
export const MAX_FLOW_BATCH = 1_000;
/** A flow cannot carry more in its life (256 TiB), and sums of these stay exact for long. */
export const MAX_FLOW_BYTES = 2 ** 48;
const MAX_NAME = 255;
const MAX_SENTENCE = 1_000;

export function reportToWire(report: Report): pb.Report {
  return {
    endpoints: [...report.endpoints],
    tunnelPort: report.tunnelPort,
    instances: report.instances.map(({ service, healthy, notListening }) => ({
      service,
      healthy,
      notListening: portsToWire(notListening),
    })),
    gatewayAddress: report.gatewayAddress,
    problems: report.problems.map(({ code, subject, message }) => ({
      code,
      subject: sentence(subject, MAX_NAME),
      message: sentence(message, MAX_SENTENCE),
    })),
    tunnels: report.tunnels,
    flows: report.flows,
  };
}

/** Throws WireError. */
export function reportFromWire(wire: pb.Outgoing<pb.Report> | null | undefined): Report {
  const report = required(wire, 'report');
  return {
    endpoints: list(report.endpoints, 'report.endpoints', MAX_REPORT_ENDPOINTS, endpoint),
    tunnelPort: integer(report.tunnelPort, 'report.tunnel_port', 0, 65_535),
    instances: list(report.instances, 'report.instances', LIMITS.services, (instance, at) => ({
      service: serviceName(instance.service, `${at}.service`),
      healthy: instance.healthy ?? false,
      notListening: portsFromWire(instance.notListening, `${at}.not_listening`),
    })),
    gatewayAddress: text(report.gatewayAddress, 'report.gateway_address', MAX_NAME),
    problems: list(report.problems, 'report.problems', MAX_PROBLEMS, (problem, at) => ({
      code: text(problem.code, `${at}.code`, MAX_NAME),
      subject: text(problem.subject, `${at}.subject`, MAX_NAME),
      message: text(problem.message, `${at}.message`, MAX_SENTENCE),
    })),
    tunnels: count(report.tunnels, 'report.tunnels'),
    flows: count(report.flows, 'report.flows'),
  };
}

export function flowToWire(record: FlowRecord): pb.FlowRecord {
  return {
    ...record,
    protocol: protocolCodec.toWire(record.protocol),
    verdict: actionCodec.toWire(record.verdict),
    outcome: outcomeCodec.toWire(record.outcome),
    bytesSent: Math.min(record.bytesSent, MAX_FLOW_BYTES),
    bytesReceived: Math.min(record.bytesReceived, MAX_FLOW_BYTES),
    detail: sentence(record.detail, MAX_SENTENCE),
  };
}

/** Throws WireError. */
export function flowFromWire(wire: pb.Outgoing<pb.FlowRecord> | null | undefined): FlowRecord {
  const record = required(wire, 'record');
  if (!/^[0-9a-f]{16}$/.test(record.id ?? '')) throw new WireError('wire-form', 'id', 'expected 16 hexadecimal digits');
  return {
    id: record.id ?? '',
    startedMs: count(record.startedMs, 'started_ms'),
    durationMs: count(record.durationMs, 'duration_ms'),
    source: text(record.source, 'source', MAX_NAME),
    sourceHost: text(record.sourceHost, 'source_host', MAX_NAME),
    service: text(record.service, 'service', MAX_NAME),
    instance: text(record.instance, 'instance', MAX_NAME),
    destinationHost: text(record.destinationHost, 'destination_host', MAX_NAME),
    port: integer(record.port, 'port', 0, 65_535),
    protocol: protocolCodec.fromWire(record.protocol, 'protocol'),
    verdict: actionCodec.fromWire(record.verdict, 'verdict'),
    rule: text(record.rule, 'rule', MAX_NAME),
    revision: count(record.revision, 'revision'),
    outcome: outcomeCodec.fromWire(record.outcome, 'outcome'),
    bytesSent: integer(record.bytesSent, 'bytes_sent', 0, MAX_FLOW_BYTES),
    bytesReceived: integer(record.bytesReceived, 'bytes_received', 0, MAX_FLOW_BYTES),
    detail: text(record.detail, 'detail', MAX_SENTENCE),
  };
}

/** `sequence` is the batch's number on its stream, 0 where none is counted. */
export function flowBatchToWire(records: readonly FlowRecord[], dropped: number, sequence = 0): pb.FlowBatch {
  return { records: records.map(flowToWire), dropped, sequence };
}

/** Reads a batch. A bad record is left out and reported. Throws WireError when the batch is too large. */
export function flowBatchFromWire(wire: pb.Outgoing<pb.FlowBatch> | null | undefined): {
  readonly records: readonly FlowRecord[];
  readonly dropped: number;
  readonly rejected: readonly RejectedItem[];
} {
  const batch = required(wire, 'flows');
  const rejected: RejectedItem[] = [];
  const records = list(batch.records, 'flows.records', MAX_FLOW_BATCH, (record) => record).flatMap((record, index) => {
    try {
      return [flowFromWire(record)];
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      rejected.push({ key: `flows.records[${index}]`, reason: error.message });
      return [];
    }
  });
  return { records, dropped: count(batch.dropped, 'flows.dropped'), rejected };
}
