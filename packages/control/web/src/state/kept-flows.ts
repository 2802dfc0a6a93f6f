/** Flows that control keeps: a page of them, and how many there were over time. */
import type { CountFlowsResponseJson, FlowFilterJson, FlowJson, FlowOutcomeJson } from '@weft/proto/messages';
import type { FlowView } from '../../../src/dashboard/api.ts';
import type { Api } from './api.ts';
import { callerOf, sourceOf, timeMs, verdictOf, word } from './calls.ts';
import type { Filter } from './flow-filter.ts';

export interface FlowQuestion extends Filter {
  readonly id?: string;
  /** By the time a record came to control. */
  readonly fromMs?: number;
  readonly toMs?: number;
}

export interface FlowPage {
  /** Newest first. */
  readonly flows: readonly FlowView[];
  /** Of the page of older ones; empty when there are none. */
  readonly older: string;
}

export async function listFlows(
  api: Api,
  network: string,
  { pageSize, pageToken = '', ...asked }: FlowQuestion & { readonly pageSize: number; readonly pageToken?: string },
  signal?: AbortSignal,
): Promise<FlowPage> {
  const request = { network, filter: filterJson(asked), pageSize, pageToken };
  const { flows = [], nextPageToken = '' } = await api.call('listFlows', request, signal);
  return { flows: flows.map(readFlow), older: nextPageToken };
}

export type FlowHistory = ReturnType<typeof readHistory>;

export async function countFlows(api: Api, network: string, asked: FlowQuestion, buckets: number, signal: AbortSignal) {
  return readHistory(await api.call('countFlows', { network, filter: filterJson(asked), buckets }, signal));
}

function filterJson({ source, verdict, outcome, port, fromMs, toMs, ...names }: FlowQuestion): FlowFilterJson {
  return {
    ...names,
    ...(source === undefined ? {} : { caller: callerOf(source) }),
    ...(verdict === undefined ? {} : { verdict: verdict === 'allow' ? 'ACTION_ALLOW' : 'ACTION_DENY' }),
    ...(outcome === undefined ? {} : { outcome: outcomeName(outcome) }),
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(fromMs === undefined ? {} : { fromTime: new Date(fromMs).toISOString() }),
    ...(toMs === undefined ? {} : { toTime: new Date(toMs).toISOString() }),
  };
}

function outcomeName(outcome: string): FlowOutcomeJson {
  return `FLOW_OUTCOME_${outcome.toUpperCase().replaceAll('-', '_')}` as FlowOutcomeJson;
}

function readFlow(flow: FlowJson): FlowView {
  const { id = '', sourceHost = '', service = '', instance = '', destinationHost = '', port = 0 } = flow;
  const { rule = '', detail = '', zone = '', user = '', unit = '', program = '' } = flow;
  const protocol = word('PROTOCOL', flow.protocol, 'other');
  return {
    ...{ id, sourceHost, service, instance, destinationHost, port, rule, detail, zone, user, unit, program },
    cursor: Number(flow.sequence ?? 0),
    startedMs: timeMs(flow.startTime),
    durationMs: lengthMs(flow.duration),
    source: sourceOf(flow.caller),
    protocol: protocol === 'any' ? 'other' : protocol,
    verdict: verdictOf(flow.verdict),
    revision: Number(flow.revision ?? 0),
    outcome: word('FLOW_OUTCOME', flow.outcome, 'other'),
    bytesSent: Number(flow.bytesSent ?? 0),
    bytesReceived: Number(flow.bytesReceived ?? 0),
  };
}

function readHistory({ bucketLength, buckets = [], kept, oldestTime, diskBytes }: CountFlowsResponseJson) {
  return {
    bucketMs: lengthMs(bucketLength),
    buckets: buckets.map(({ startTime, allowed = 0, denied = 0, failed = 0, bytesSent = 0, bytesReceived = 0 }) => ({
      startMs: timeMs(startTime),
      allowed: Number(allowed),
      denied: Number(denied),
      failed: Number(failed),
      bytesSent: Number(bytesSent),
      bytesReceived: Number(bytesReceived),
    })),
    kept: Number(kept ?? 0),
    oldestMs: timeMs(oldestTime),
    diskBytes: Number(diskBytes ?? 0),
  };
}

/** `1.500s` in whole milliseconds. */
function lengthMs(length = '0s'): number {
  return Math.round(Number.parseFloat(length) * 1_000);
}
