import type { FlowRecord } from '@weft/proto';
import { expect, test } from 'vitest';
import { createFlowWindow } from './window.ts';

function flow(number: number, verdict: 'allow' | 'deny' = 'allow'): FlowRecord {
  return {
    id: String(number).padStart(16, '0'),
    startedMs: number,
    durationMs: 1,
    source: 'web',
    sourceHost: 'a',
    service: 'redis',
    instance: 'redis/0',
    destinationHost: 'b',
    port: 6379,
    protocol: 'tcp',
    verdict,
    rule: 'default',
    revision: 1,
    outcome: verdict === 'allow' ? 'closed' : 'denied',
    bytesSent: 0,
    bytesReceived: 0,
    detail: '',
  };
}

const numbers = (records: readonly FlowRecord[]): number[] => records.map((record) => record.startedMs);

test('keeps the newest of each network, oldest first', () => {
  const window = createFlowWindow(3);
  window.add('prod', 'b', [flow(1), flow(2, 'deny'), flow(3), flow(4)], 0);
  window.add('other', 'b', [flow(9)], 2);
  expect(numbers(window.recent('prod', { denied: false, limit: 10 }))).toEqual([2, 3, 4]);
  expect(numbers(window.recent('prod', { denied: false, limit: 2 }))).toEqual([3, 4]);
  expect(numbers(window.recent('prod', { denied: true, limit: 10 }))).toEqual([2]);
  expect(numbers(window.recent('other', { denied: false, limit: 10 }))).toEqual([9]);
  expect([window.dropped('prod'), window.dropped('other'), window.dropped('none')]).toEqual([0, 2, 0]);
});

test('a watcher gets what ends after it came, and nothing of another network', async () => {
  const window = createFlowWindow(100);
  window.add('prod', 'b', [flow(1)], 0);
  const end = new AbortController();
  const seen: number[] = [];
  const watching = (async () => {
    for await (const { record, missed } of window.follow('prod', { denied: false }, end.signal)) {
      expect(missed).toBe(0);
      seen.push(record.startedMs);
      if (seen.length === 3) end.abort();
    }
  })();
  await Promise.resolve();
  window.add('prod', 'b', [flow(2)], 0);
  window.add('other', 'b', [flow(99)], 0);
  window.add('prod', 'b', [flow(3), flow(4)], 0);
  await watching;
  expect(seen).toEqual([2, 3, 4]);
});

test.each([
  { denied: false, missed: 8 },
  { denied: true, missed: 4 },
])('a slow watcher is told exactly what it missed (denied only: $denied)', async ({ denied, missed }) => {
  const window = createFlowWindow(4);
  const end = new AbortController();
  const watcher = window.follow('prod', { denied }, end.signal)[Symbol.asyncIterator]();
  const first = watcher.next();
  window.add('prod', 'b', [flow(0, 'deny')], 0);
  expect(await first).toMatchObject({ value: { missed: 0 } });
  for (let number = 1; number <= 12; number += 1)
    window.add('prod', 'b', [flow(number, number % 2 === 1 ? 'deny' : 'allow')], 0);
  expect(await watcher.next()).toMatchObject({ value: { record: { startedMs: 9 }, missed } });
  expect(await watcher.next()).toMatchObject({ value: { missed: 0 } });
  end.abort();
  expect(await watcher.next()).toMatchObject({ done: true });
});

test('a watcher that waits ends when its signal aborts', async () => {
  const window = createFlowWindow(4);
  const end = new AbortController();
  const watcher = window.follow('prod', { denied: false }, end.signal)[Symbol.asyncIterator]();
  const waiting = watcher.next();
  end.abort();
  expect(await waiting).toMatchObject({ done: true });
});

test('a flow that both agents tell of stands once, in the words of its destination', () => {
  const window = createFlowWindow(3);
  const told = (detail: string, change: Partial<FlowRecord> = {}): FlowRecord => ({ ...flow(1), detail, ...change });
  const details = () => window.recent('prod', { denied: false, limit: 10 }).map(({ detail }) => detail);
  window.add('prod', 'a', [told('by the source')], 0);
  window.add('prod', 'b', [told('by the destination')], 0);
  expect(details()).toEqual(['by the destination']);
  window.add('prod', 'a', [told('by the source again')], 0);
  expect(details()).toEqual(['by the destination']);
  // An id that another flow bears, by chance or on purpose, hides nothing.
  window.add('prod', 'c', [told('of other hosts', { sourceHost: 'a', destinationHost: 'c' })], 0);
  window.add('prod', 'b', [told('denied', { verdict: 'deny' })], 0);
  expect(details()).toEqual(['by the destination', 'of other hosts', 'denied']);
  // What has left the window is forgotten.
  window.add('prod', 'b', [flow(2), flow(3), flow(4)], 0);
  window.add('prod', 'b', [told('once more')], 0);
  expect(details()).toEqual(['', '', 'once more']);
});
