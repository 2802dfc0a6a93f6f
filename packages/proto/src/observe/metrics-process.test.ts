import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { watchLoopDelay } from './metrics-loop.ts';
import { registerProcessMetrics } from './metrics-process.ts';

test('a process tells what it costs', async () => {
  const registry = new Registry();
  const end = registerProcessMetrics(registry, 'weft_test_');
  const text = await registry.metrics();
  end();
  const read = (name: string): number => Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1]);
  expect(read('process_resident_memory_bytes')).toBeGreaterThan(1e6);
  expect(read('process_cpu_seconds_total')).toBeGreaterThan(0);
  expect(read('process_open_fds')).toBeGreaterThan(2);
  expect(read('process_max_fds')).toBeGreaterThan(read('process_open_fds'));
  expect(read('process_start_time_seconds')).toBeLessThan(Date.now() / 1_000);
  expect(text).toContain('weft_test_event_loop_delay_seconds{percentile="99"}');
});

test('a loop that was held up is seen, and the next interval knows nothing of it', async () => {
  const watch = watchLoopDelay();
  const turns = async (ms: number): Promise<void> => await new Promise((resolve) => setTimeout(resolve, ms));
  // Two looks, for the first has none before it.
  await turns(450);
  const until = performance.now() + 600;
  while (performance.now() < until);
  await turns(250);
  const held = watch.take();
  expect(held.maxUs).toBeGreaterThan(200_000);
  expect(held.p50Us).toBeLessThanOrEqual(held.p99Us);
  expect(held.p99Us).toBeLessThanOrEqual(held.maxUs);
  expect(watch.take()).toEqual({ p50Us: 0, p99Us: 0, maxUs: 0 });
  watch.close();
});
