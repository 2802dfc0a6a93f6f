/** Kept flows of the made-up mesh, as the API tells them. */
import type { CountFlowsResponseJson, FlowFilterJson, FlowJson, FlowOutcomeJson } from '@weft/proto/messages';
import type { FlowView } from '../../src/dashboard/api.ts';
import { type Asked, callerOf, sourceOf, type Told, timeMs, word } from '../src/state/calls.ts';
import { filterOf, passes } from '../src/state/flow-filter.ts';
import type { MadeUpMesh } from './mesh.ts';

const HOUR_MS = 3_600_000;

export function listFlows(
  { filter, pageSize = 100, pageToken }: Asked<'listFlows'>,
  mesh: MadeUpMesh,
): Told<'listFlows'> {
  const found = passing(mesh, filter)
    .filter(({ cursor }) => !pageToken || cursor < Number(pageToken))
    .filter(({ id }) => filter?.id === undefined || id === filter.id)
    .reverse();
  const page = found.slice(0, pageSize);
  return {
    flows: page.map(flowJson),
    ...(found.length > page.length ? { nextPageToken: `${page.at(-1)?.cursor}` } : {}),
  };
}

export function countFlows(
  { filter, buckets: most = 120 }: Asked<'countFlows'>,
  mesh: MadeUpMesh,
): CountFlowsResponseJson {
  const toMs = timeMs(filter?.toTime) || Date.now();
  const fromMs = timeMs(filter?.fromTime) || toMs - HOUR_MS;
  const bucketMs = Math.max(1_000, Math.ceil((toMs - fromMs) / most));
  const buckets = new Map<number, FlowView[]>();
  for (const flow of passing(mesh, filter)) {
    const startMs = Math.floor((flow.startedMs + flow.durationMs) / bucketMs) * bucketMs;
    buckets.set(startMs, [...(buckets.get(startMs) ?? []), flow]);
  }
  return {
    bucketLength: `${bucketMs / 1_000}s`,
    buckets: [...buckets]
      .sort(([left], [right]) => left - right)
      .map(([startMs, flows]) => ({
        startTime: timeOf(startMs),
        allowed: `${flows.filter(({ outcome }) => outcome === 'closed').length}`,
        denied: `${flows.filter(({ verdict }) => verdict === 'deny').length}`,
        failed: `${flows.filter(({ outcome }) => outcome === 'no-instance').length}`,
        bytesSent: `${flows.reduce((sum, { bytesSent }) => sum + bytesSent, 0)}`,
        bytesReceived: `${flows.reduce((sum, { bytesReceived }) => sum + bytesReceived, 0)}`,
      })),
    kept: `${mesh.flows.length}`,
    oldestTime: timeOf(mesh.flows[0]?.startedMs ?? 0),
    diskBytes: `${mesh.flows.length * 90}`,
  };
}

function passing(mesh: MadeUpMesh, asked: FlowFilterJson = {}): FlowView[] {
  const { caller, verdict, outcome, port, fromTime, toTime, ...names } = asked;
  const filter = filterOf({
    ...names,
    source: caller && sourceOf(caller),
    verdict: verdict && word('ACTION', verdict, 'deny'),
    outcome: outcome && word('FLOW_OUTCOME', outcome, 'other'),
    port: port === undefined ? undefined : `${port}`,
  });
  return mesh.flows
    .filter((flow) => passes(filter, flow))
    .filter(
      ({ startedMs }) => startedMs >= timeMs(fromTime) && startedMs < (timeMs(toTime) || Number.MAX_SAFE_INTEGER),
    );
}

function flowJson({
  cursor,
  startedMs,
  durationMs,
  source,
  protocol,
  verdict,
  revision,
  outcome,
  ...flow
}: FlowView): FlowJson {
  return {
    ...flow,
    sequence: `${cursor}`,
    startTime: timeOf(startedMs),
    duration: `${durationMs / 1_000}s`,
    caller: callerOf(source),
    protocol: protocol === 'udp' ? 'PROTOCOL_UDP' : 'PROTOCOL_TCP',
    verdict: verdict === 'allow' ? 'ACTION_ALLOW' : 'ACTION_DENY',
    revision: `${revision}`,
    outcome: `FLOW_OUTCOME_${outcome.toUpperCase().replaceAll('-', '_')}` as FlowOutcomeJson,
    bytesSent: `${flow.bytesSent}`,
    bytesReceived: `${flow.bytesReceived}`,
  };
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
