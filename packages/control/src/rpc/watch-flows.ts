/** The flow window to one watcher. */
import type { pb } from '@weft/proto/wire';
import { flowToWire } from '@weft/proto/wire';
import type { FlowWindow } from '../flows/window.ts';
import type { Write } from './handler.ts';

export interface FlowQuery {
  readonly network: string;
  readonly denied: boolean;
  readonly follow: boolean;
  readonly limit: number;
}

export async function watchFlows(
  window: FlowWindow,
  { network, denied, follow, limit }: FlowQuery,
  signal: AbortSignal,
  write: Write<pb.WatchFlowsResponse>,
): Promise<void> {
  // The place to follow from is taken in the same turn as the past is read: no flow falls between the two.
  const next = follow ? window.follow(network, { denied }, signal)[Symbol.asyncIterator]() : undefined;
  let coming = next?.next();
  for (const record of window.recent(network, { denied, limit })) {
    await write({ record: flowToWire(record), missed: 0 });
  }
  while (next !== undefined && coming !== undefined) {
    const { done, value } = await coming;
    if (done === true) return;
    await write({ record: flowToWire(value.record), missed: value.missed });
    coming = next.next();
  }
}
