/**
 * What a process costs, by the names that Prometheus's own clients use, so that dashboards made for any program fit.
 * prom-client has more of it, but also timers that would wake an idle agent a hundred times a second, and an observer of
 * every collection of garbage.
 */
import { readdir } from 'node:fs/promises';
import { Counter, Gauge, type Registry } from 'prom-client';
import { fileLimit } from '../node/file-limit.ts';
import { watchLoopDelay } from './metrics-loop.ts';

/** `prefix` is of the program's own names, such as `weft_agent_`. Gives back what ends it. */
export function registerProcessMetrics(registry: Registry, prefix: string): () => void {
  const registers = [registry];
  let told = { user: 0, system: 0 };
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Processor time spent, in seconds.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.inc((user + system - told.user - told.system) / 1e6);
      told = { user, system };
    },
  });
  gauge('process_start_time_seconds', 'When the process started, in seconds since the Unix epoch.', () => STARTED);
  gauge('process_resident_memory_bytes', 'Memory that the process holds.', () => process.memoryUsage.rss());
  gauge('process_open_fds', 'File descriptors open.', openDescriptors);
  gauge('process_max_fds', 'File descriptors that may be open.', fileLimit);
  gauge('nodejs_heap_size_total_bytes', 'JavaScript heap, all of it.', () => process.memoryUsage().heapTotal);
  gauge('nodejs_heap_size_used_bytes', 'JavaScript heap in use.', () => process.memoryUsage().heapUsed);
  gauge('nodejs_external_memory_bytes', 'Memory beside the JavaScript heap.', () => process.memoryUsage().external);
  const delay = watchLoopDelay();
  new Gauge({
    name: `${prefix}event_loop_delay_seconds`,
    help: 'How late the event loop ran since the last scrape.',
    // Not `quantile`, which is a summary's.
    labelNames: ['percentile'],
    registers,
    collect() {
      const { p50Us, p99Us, maxUs } = delay.take();
      this.set({ percentile: '50' }, p50Us / 1e6);
      this.set({ percentile: '99' }, p99Us / 1e6);
      this.set({ percentile: '100' }, maxUs / 1e6);
    },
  });
  return () => delay.close();

  function gauge(name: string, help: string, read: () => number | Promise<number>): void {
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        this.set(await read());
      },
    });
  }
}

const STARTED = Math.floor(Date.now() / 1_000 - process.uptime());

/** NaN where there is no /proc. */
async function openDescriptors(): Promise<number> {
  // Less the one that reads the directory.
  return await readdir('/proc/self/fd').then(
    (names) => names.length - 1,
    () => Number.NaN,
  );
}
