/** An OpenTelemetry collector that keeps what it is sent: OTLP over HTTP, as JSON. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { until } from './until.ts';

export interface CollectedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  /** As in OTLP: 1 internal, 2 server, 3 client. */
  readonly kind: number;
  /** Of the process that made it. */
  readonly service: string;
  readonly values: Readonly<Record<string, unknown>>;
  readonly events: readonly { readonly name: string; readonly values: Readonly<Record<string, unknown>> }[];
  /** Set when the span ended in an error. */
  readonly error: string | undefined;
  readonly milliseconds: number;
}

export class Collector {
  readonly #server: Server;
  readonly #spans: CollectedSpan[] = [];
  /** What was asked for other than by POST /v1/traces. */
  readonly strays: string[] = [];

  constructor() {
    this.#server = createServer((request, response) => {
      if (`${request.method} ${request.url}` !== 'POST /v1/traces')
        this.strays.push(`${request.method} ${request.url}`);
      void json(request).then((body) => {
        this.#spans.push(...readSpans(body as Body));
        response.setHeader('content-type', 'application/json').end('{}');
      });
    });
  }

  static async start(): Promise<Collector> {
    const collector = new Collector();
    collector.#server.listen(0, '127.0.0.1');
    await once(collector.#server, 'listening');
    return collector;
  }

  /** As OTEL_EXPORTER_OTLP_ENDPOINT has it. */
  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get spans(): readonly CollectedSpan[] {
    return this.#spans;
  }

  /** The spans of this name, once there are so many. */
  named(name: string, count: number): Promise<readonly CollectedSpan[]> {
    return until(
      `${count} spans ${name}`,
      async () => this.#spans.filter((span) => span.name === name),
      ({ length }) => length >= count,
    );
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}

interface KeyValue {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface Body {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
  }[];
}

interface WireSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: number;
  readonly attributes: readonly KeyValue[];
  readonly events: readonly { readonly name: string; readonly attributes: readonly KeyValue[] }[];
  readonly status: { readonly code: number; readonly message?: string };
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
}

function readSpans({ resourceSpans }: Body): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(valuesOf(resource.attributes)['service.name']);
    return scopeSpans.flatMap(({ spans }) => spans.map((span) => readSpan(span, service)));
  });
}

const ERROR = 2;

function readSpan(span: WireSpan, service: string): CollectedSpan {
  const { name, traceId, spanId, kind, status } = span;
  return {
    name,
    traceId,
    spanId,
    parentSpanId: span.parentSpanId,
    kind,
    service,
    values: valuesOf(span.attributes),
    events: span.events.map((event) => ({ name: event.name, values: valuesOf(event.attributes) })),
    error: status.code === ERROR ? (status.message ?? '') : undefined,
    milliseconds: Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6,
  };
}

function valuesOf(attributes: readonly KeyValue[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
