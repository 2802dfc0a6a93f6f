import { expect, test } from 'vitest';
import { parseCsv } from './redis.ts';

const HEADER =
  '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"';

test("redis-benchmark's figures are found by their columns' names", () => {
  const row = '"GET","90909.09","0.301","0.128","0.287","0.407","0.519","1.207"';
  expect(parseCsv(`${HEADER}\n${row}\n`)).toEqual({ rps: 90909.09, p50: 0.287 });
  // A command of one's own is called by its words.
  expect(parseCsv(`${HEADER}\n${row.replace('GET', 'get value-1024')}\n`).p50).toBe(0.287);
});

test('a report without figures is an error, never a zero', () => {
  expect(() => parseCsv(`${HEADER}\n`)).toThrow('no figures');
  expect(() => parseCsv('')).toThrow('no figures');
  expect(() => parseCsv(`${HEADER}\n"GET","nan","0","0","0.1","0","0","0"`)).toThrow('no figures');
});
