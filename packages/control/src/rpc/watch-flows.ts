/** The flow window to one watcher. */
import type { pb } from '@weft/proto/wire';
import { flowToWire } from '@weft/proto/wire';
import type { FlowHistory, FlowWindow, KeptFlow } from '../flows/types.ts';
import type { FlowWatch } from './flow-request.ts';
import type { Write } from './handler.ts';

export async function watchFlows(
  window: FlowWindow,
  network: string,
  { query, follow }: FlowWatch,
  signal: AbortSignal,
  write: Write<pb.WatchFlowsResponse>,
): Promise<void> {
  // The place to follow from is taken in the same turn as the past is asked for: no flow falls between the two.
  const end = new AbortController();
  const until = AbortSignal.any([signal, end.signal]);
  const coming = follow ? window.follow(network, query.filter, until) : undefined;
  try {
    const { flows } = await window.query(network, query, signal);
    for (const flow of flows.toReversed()) await write(answer(flow, 0));
    if (coming === undefined) return;
    for await (const flow of coming) await write(answer(flow, flow.missed));
  } finally {
    // Also when the past could not be read, and nobody ever asks for what comes.
    end.abort();
  }
}

function answer({ record, cursor }: KeptFlow, missed: number): pb.Outgoing<pb.WatchFlowsResponse> {
  return { record: flowToWire(record), missed, cursor };
}

export function historyToWire({ bucketMs, buckets, kept }: FlowHistory): pb.Outgoing<pb.GetFlowHistoryResponse> {
  return {
    bucketMs,
    buckets: buckets.map((bucket) => ({ ...bucket })),
    kept: kept.records,
    oldestMs: kept.oldestMs,
    diskBytes: kept.diskBytes,
  };
}
