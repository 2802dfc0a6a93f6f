/** What both programs need to count and to be read by Prometheus. The one place that knows the library for it. */
export { Counter, Gauge, Histogram, Registry } from 'prom-client';
export { registerProcessMetrics } from './metrics-process.ts';
export { type MetricsServer, type MetricsServerOptions, serveMetrics } from './metrics-server.ts';
