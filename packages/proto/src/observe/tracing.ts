/**
 * Spans for an OpenTelemetry collector. Off unless OpenTelemetry's own variables name one, and then nothing of it is loaded:
 * whoever would make a span holds undefined, and asks no more than that.
 */
import { readEndpoint, tracingWanted } from './tracing-environment.ts';
import type { RemoteParent, Tracing, TracingOptions } from './tracing-types.ts';

export type * from './tracing-types.ts';

/** Undefined when no collector is named in this process's environment, none can be read there, or tracing is switched off. */
export async function openTracing(options: TracingOptions): Promise<Tracing | undefined> {
  if (!tracingWanted(process.env)) return undefined;
  const endpoint = readEndpoint(process.env);
  if (endpoint?.readable !== true) {
    // The exporter would send them to localhost, and say nothing.
    const { variable } = endpoint ?? {};
    const words = 'the address of the collector is no URL such as http://127.0.0.1:4318; no spans are sent';
    options.logger.warn({ event: 'tracing-endpoint', variable }, words);
    return undefined;
  }
  const { createTracing } = await import('./tracing-sdk.ts');
  return createTracing(options, process.env, endpoint.host);
}

const TRACE_PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZEROS = /^0+$/;

/** The caller's span out of a W3C `traceparent`; undefined when it is out of form, which W3C says to ignore. */
export function parseTraceParent(header: string): RemoteParent | undefined {
  const [, version = '', traceId = '', spanId = '', flags = '', more] = TRACE_PARENT.exec(header) ?? [];
  // A later version may say more behind the flags; version 00 may not, and ff is none.
  if (version === '' || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}
