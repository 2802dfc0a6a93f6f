import { expect, it } from 'vitest';
import { filled } from './history.ts';

const bucket = (startMs: number, allowed: number) => ({
  startMs,
  allowed,
  denied: 0,
  failed: 0,
  bytesSent: 0,
  bytesReceived: 0,
});

it('puts nothing where control left out a bucket', () => {
  const history = { bucketMs: 10, buckets: [bucket(13, 2), bucket(33, 1)], kept: 3, oldestMs: 13, diskBytes: 1 };
  const { startMs, buckets } = filled(history, 5, 45);
  expect(startMs).toEqual([3, 13, 23, 33, 43]);
  expect(buckets.map(({ allowed }) => allowed)).toEqual([0, 2, 0, 1, 0]);
});
