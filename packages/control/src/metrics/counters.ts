/** What control counts as it happens. Labels are of closed sets: nothing that a caller makes up becomes one. */
import { status } from '@grpc/grpc-js';
import type { loadMetrics, Registry } from '@weft/proto/observe';
import { adminService, agentService } from '@weft/proto/wire';
import type { StreamObserver } from '../watch/hub-options.ts';

/** The library, which is loaded only when metrics are asked for. */
export type MetricsLibrary = Awaited<ReturnType<typeof loadMetrics>>;

/** A gRPC call that is over; of a stream its duration says nothing. */
interface EndedCall {
  readonly path: string;
  readonly code: status;
  readonly seconds: number;
  readonly stream: boolean;
}

export type ControlCounters = ReturnType<typeof createCounters>;

const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export function createCounters(library: MetricsLibrary, registry: Registry) {
  const registers = [registry];
  const took = new library.Histogram({
    name: 'weft_control_store_write_seconds',
    help: 'Time from a change to its being on disk.',
    buckets: BUCKETS.slice(0, 11),
    registers,
  });
  const failed = new library.Counter({
    name: 'weft_control_writes_failed_total',
    help: 'Writes that the disk did not take: of data, and of packs of flow records.',
    labelNames: ['what'],
    registers,
  });
  for (const what of ['data', 'flows']) failed.inc({ what }, 0);
  return {
    streams: streamCounters(library, registers),
    calls: callCounters(library, registers),
    /** Data is on disk, this many milliseconds after it was given, unless that failed. */
    wroteData: (tookMs: number, failure: string | undefined): void => {
      if (failure === undefined) took.observe(tookMs / 1_000);
      else failed.inc({ what: 'data' });
    },
    wroteFlows: (failure: string | undefined): void => {
      if (failure !== undefined) failed.inc({ what: 'flows' });
    },
  };
}

function streamCounters({ Counter, Histogram }: MetricsLibrary, registers: Registry[]): StreamObserver {
  const messages = new Counter({
    name: 'weft_control_agent_messages_total',
    help: 'Messages of agents, by kind.',
    labelNames: ['kind'],
    registers,
  });
  const records = new Counter({
    name: 'weft_control_flow_records_total',
    help: 'Flow records: taken in, dropped by agents before they were sent, refused by control.',
    labelNames: ['outcome'],
    registers,
  });
  const refused = new Counter({
    name: 'weft_control_telemetry_refused_total',
    help: 'Telemetry of agents that was out of form.',
    registers,
  });
  const enforced = new Histogram({
    name: 'weft_control_enforce_seconds',
    help: 'Time from a revision coming out to a connected agent enforcing it.',
    buckets: BUCKETS,
    registers,
  });
  for (const outcome of ['taken', 'dropped', 'refused']) records.inc({ outcome }, 0);
  return {
    message: (kind) => messages.inc({ kind }),
    flows: (counts) => {
      records.inc({ outcome: 'taken' }, counts.taken);
      records.inc({ outcome: 'dropped' }, counts.dropped);
      records.inc({ outcome: 'refused' }, counts.refused);
    },
    telemetryRefused: () => refused.inc(),
    enforced: (afterMs) => enforced.observe(afterMs / 1_000),
  };
}

/** By path; health and reflection, which anyone may ask, are one. */
const METHODS: ReadonlyMap<string, string> = new Map(
  [...Object.values(adminService), ...Object.values(agentService)].map(({ path }) => [
    path,
    path.replace('/weft.v1.', ''),
  ]),
);

function callCounters({ Counter, Histogram }: MetricsLibrary, registers: Registry[]) {
  const calls = new Counter({
    name: 'weft_control_rpc_total',
    help: 'Calls that ended, by method and gRPC status.',
    labelNames: ['method', 'code'],
    registers,
  });
  const took = new Histogram({
    name: 'weft_control_rpc_seconds',
    help: 'Time that calls took, by method; without streams.',
    labelNames: ['method'],
    buckets: BUCKETS,
    registers,
  });
  return {
    ended: ({ path, code, seconds, stream }: EndedCall): void => {
      const method = METHODS.get(path) ?? 'other';
      calls.inc({ method, code: status[code] ?? 'UNKNOWN' });
      if (!stream) took.observe({ method }, seconds);
    },
  };
}
