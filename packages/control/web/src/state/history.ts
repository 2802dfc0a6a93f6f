import type { FlowHistory } from './kept-flows.ts';

type Bucket = FlowHistory['buckets'][number];

/** Control leaves out buckets in which nothing ended; a chart needs them as nothing. */
export function filled(
  history: FlowHistory,
  fromMs: number,
  toMs: number,
): { readonly startMs: number[]; readonly buckets: Bucket[] } {
  const { bucketMs } = history;
  const given = new Map(history.buckets.map((bucket) => [bucket.startMs, bucket]));
  // Buckets lie on a grid: that of those that are there.
  const offset = (history.buckets[0]?.startMs ?? fromMs) % bucketMs;
  const first = Math.floor((fromMs - offset) / bucketMs) * bucketMs + offset;
  const buckets: Bucket[] = [];
  for (let startMs = first; startMs < toMs; startMs += bucketMs) {
    buckets.push(given.get(startMs) ?? { startMs, allowed: 0, denied: 0, failed: 0, bytesSent: 0, bytesReceived: 0 });
  }
  return { startMs: buckets.map(({ startMs }) => startMs), buckets };
}
