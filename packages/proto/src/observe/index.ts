export { ListenError } from './errors.ts';
export { listen } from './listen.ts';
export { openLog } from './log.ts';
export { type LoopDelay, type LoopDelayWatch, watchLoopDelay } from './metrics-loop.ts';
export type { MetricsServer, MetricsServerOptions } from './metrics-server.ts';

/**
 * Counter, Gauge, Histogram, Registry, registerProcessMetrics and serveMetrics. Loaded when metrics are asked for: the library
 * takes 20 MiB, and an agent that nobody scrapes shall not pay for it.
 */
export const loadMetrics = (): Promise<typeof import('./metrics.ts')> => import('./metrics.ts');
export type { Counter, Gauge, Histogram, Registry } from 'prom-client';
export * from './tracing.ts';
