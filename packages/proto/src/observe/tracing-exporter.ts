/** An exporter whose failures are told of, once a minute, and are otherwise nobody's concern. */
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import type { TracingOptions } from './tracing-types.ts';

type Done = Parameters<SpanExporter['export']>[1];

const COMPLAIN_MS = 60_000;

export class ComplainingExporter implements SpanExporter {
  readonly #inner: SpanExporter;
  readonly #logger: TracingOptions['logger'];
  readonly #now: () => number;
  #lost = 0;
  #toldMs = Number.NEGATIVE_INFINITY;

  /** `now` in milliseconds, of a clock that is never set. */
  constructor(inner: SpanExporter, logger: TracingOptions['logger'], now: () => number = () => performance.now()) {
    this.#inner = inner;
    this.#logger = logger;
    this.#now = now;
  }

  export(spans: ReadableSpan[], done: Done): void {
    this.#inner.export(spans, (result) => {
      // 0 is success; the enumeration is in a package that is not ours to import.
      if (result.code !== 0) this.#complain(spans.length, result.error);
      done(result);
    });
  }

  async forceFlush(): Promise<void> {
    await this.#inner.forceFlush?.();
  }

  shutdown(): Promise<void> {
    return this.#inner.shutdown();
  }

  #complain(spans: number, err: Error | undefined): void {
    this.#lost += spans;
    const now = this.#now();
    if (now - this.#toldMs < COMPLAIN_MS) return;
    this.#toldMs = now;
    this.#logger.warn(
      { event: 'trace-export-failed', lost: this.#lost, err },
      'the OpenTelemetry collector did not take spans; they are lost',
    );
    this.#lost = 0;
  }
}
