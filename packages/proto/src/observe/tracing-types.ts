/** What a tracer is to those who make spans: no more than they need, and nothing of the SDK. */
import type { Logger } from 'pino';

export type SpanValue = string | number | boolean;
export type SpanValues = Readonly<Record<string, SpanValue>>;

/** As W3C trace context writes them: 32 and 16 hexadecimal digits, not all zeros. */
export interface SpanIdentity {
  readonly traceId: string;
  readonly spanId: string;
}

export interface RemoteParent extends SpanIdentity {
  /** Undefined when the other end does not say: the trace's id decides, as it did there. */
  readonly sampled: boolean | undefined;
}

export interface SpanRequest {
  readonly name: string;
  /** `client` asks and `server` answers: between the two a collector draws its map of services. */
  readonly kind: 'client' | 'server';
  readonly values?: SpanValues;
  /** For a root whose ids must be known elsewhere without a message. */
  readonly identity?: SpanIdentity;
  readonly parent?: RemoteParent;
}

export interface Span {
  /** A step of it, with an end of its own. */
  child(name: string, values?: SpanValues): Span;
  set(values: SpanValues): void;
  event(name: string, values?: SpanValues): void;
  /** It ended in an error of this side. */
  fail(reason: string): void;
  /** To be called once. */
  end(): void;
}

export interface Tracer {
  /** Undefined when this trace is not among those that are sampled. */
  start(request: SpanRequest): Span | undefined;
}

export interface Tracing extends Tracer {
  /** Sends what is left, for at most two seconds. */
  close(): Promise<void>;
}

export interface TracingOptions {
  /** Name that spans go by where OTEL_SERVICE_NAME does not give one. */
  readonly service: string;
  readonly version: string;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}
