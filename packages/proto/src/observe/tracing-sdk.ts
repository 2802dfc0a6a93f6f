/** The tracer on OpenTelemetry's SDK. Nothing is registered globally: who makes spans was handed this. */
import { hostname } from 'node:os';
import {
  type Span as ApiSpan,
  type Tracer as ApiTracer,
  type Context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  defaultResource,
  detectResources,
  type Resource,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  type IdGenerator,
  ParentBasedSampler,
  RandomIdGenerator,
  type Sampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { MOST_EXPORT_MS, otherProtocol, readBatchBounds, readSampling } from './tracing-environment.ts';
import { ComplainingExporter } from './tracing-exporter.ts';
import type { RemoteParent, Span, SpanIdentity, SpanRequest, Tracing, TracingOptions } from './tracing-types.ts';

const KINDS = { client: SpanKind.CLIENT, server: SpanKind.SERVER } as const;

/** `endpoint` is the collector's host, for the log. */
export function createTracing(options: TracingOptions, env: NodeJS.ProcessEnv, endpoint: string): Tracing {
  const { logger, version } = options;
  const sampling = readSampling(env);
  if (sampling.unread !== undefined) {
    logger.warn({ event: 'tracing-sampler', found: sampling.unread }, 'the sampler is not known; every trace is kept');
  }
  const protocol = otherProtocol(env);
  if (protocol !== undefined) {
    logger.warn(
      { event: 'tracing-protocol', protocol },
      'spans are sent as http/json, which collectors take at port 4318',
    );
  }
  const { delayMs, queued, batch, exportMs } = readBatchBounds(env);
  const exporter = new ComplainingExporter(new OTLPTraceExporter({ timeoutMillis: exportMs }), logger);
  const root = new TraceIdRatioBasedSampler(sampling.ratio);
  const ids = new ChosenIds();
  const provider = new TracerProvider({
    resource: resourceOf(options),
    sampler: sampling.parentBased ? new ParentBasedSampler({ root }) : root,
    idGenerator: ids,
    spanProcessors: [
      new BatchSpanProcessor({
        exporter,
        maxQueueSize: queued,
        maxExportBatchSize: Math.min(batch, queued),
        scheduledDelayMillis: delayMs,
      }),
    ],
  });
  logger.info({ event: 'tracing', endpoint, ratio: sampling.ratio }, 'spans go to the OpenTelemetry collector');
  const tracer = provider.getTracer('weft', version);
  return {
    start: ({ identity, ...request }) => ids.during(identity, () => startSpan(tracer, root, request)),
    close: () => within(MOST_EXPORT_MS, provider.shutdown()),
  };
}

function resourceOf({ service, version }: TracingOptions): Resource {
  return defaultResource()
    .merge(
      resourceFromAttributes({
        'service.name': service,
        'service.version': version,
        'host.name': hostname(),
        'process.pid': process.pid,
      }),
    )
    .merge(detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] }));
}

function startSpan(tracer: ApiTracer, root: Sampler, { name, kind, values, parent }: SpanRequest): Span | undefined {
  const context = parent === undefined ? ROOT_CONTEXT : contextOf(parent, root);
  const span = tracer.startSpan(name, { kind: KINDS[kind], attributes: { ...values } }, context);
  return span.isRecording() ? handOut(span, context, tracer) : undefined;
}

/** What the far end does not say, this end's sampler says of the same trace: with the same ratio at both it is the same. */
function contextOf({ traceId, spanId, sampled }: RemoteParent, root: Sampler): Context {
  const kept =
    sampled ??
    root.shouldSample(ROOT_CONTEXT, traceId, '', SpanKind.SERVER, {}, []).decision ===
      SamplingDecision.RECORD_AND_SAMPLED;
  const traceFlags = kept ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

/** Random ids, but for a span whose ids are given. Its start asks for them in one turn, so that one slot is enough. */
class ChosenIds implements IdGenerator {
  readonly #random = new RandomIdGenerator();
  #chosen: SpanIdentity | undefined;

  during<Value>(chosen: SpanIdentity | undefined, start: () => Value): Value {
    this.#chosen = chosen;
    try {
      return start();
    } finally {
      this.#chosen = undefined;
    }
  }

  generateTraceId(): string {
    return this.#chosen?.traceId ?? this.#random.generateTraceId();
  }

  generateSpanId(): string {
    return this.#chosen?.spanId ?? this.#random.generateSpanId();
  }
}

/** No more of the span than who makes spans needs. */
function handOut(span: ApiSpan, parent: Context, tracer: ApiTracer): Span {
  const context = trace.setSpan(parent, span);
  return {
    child: (name, values) => handOut(tracer.startSpan(name, { attributes: { ...values } }, context), context, tracer),
    set: (values) => void span.setAttributes(values),
    event: (name, values) => void span.addEvent(name, { ...values }),
    fail: (message) => void span.setStatus({ code: SpanStatusCode.ERROR, message }),
    end: () => span.end(),
  };
}

/** Resolves when the work is done, failed, or took too long: a collector that is away is told of by the exporter. */
async function within(limitMs: number, work: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, limitMs);
  await Promise.race([work.catch(() => {}), late.promise]);
  clearTimeout(timer);
}
