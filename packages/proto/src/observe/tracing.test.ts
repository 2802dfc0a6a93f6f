import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Collector } from '../../../../test/harness/collector.ts';
import { openTracing, parseTraceParent, type Tracing } from './tracing.ts';
import { readBatchBounds, readEndpoint, readSampling, tracingWanted } from './tracing-environment.ts';
import { ComplainingExporter } from './tracing-exporter.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const SPAN_ID = 'b7ad6b7169203331';

interface Line {
  readonly event: string;
  readonly [field: string]: unknown;
}

let lines: Line[];
const logger = {
  info: (line: Line) => void lines.push(line),
  warn: (line: Line) => void lines.push(line),
};

async function open(): Promise<Tracing> {
  const tracing = await openTracing({ service: 'weft-test', version: '1.2.3', logger });
  if (tracing === undefined) throw new Error('tracing is off');
  return tracing;
}

beforeEach(() => {
  lines = [];
});

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('the environment', () => {
  test.each([
    [{}, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: '' }, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' }, true],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:4318/v1/traces' }, true],
    [{ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://127.0.0.1:4318' }, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', OTEL_SDK_DISABLED: 'TRUE' }, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', OTEL_SDK_DISABLED: 'no' }, true],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', OTEL_TRACES_EXPORTER: 'none' }, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', OTEL_TRACES_EXPORTER: 'console, otlp' }, true],
  ])('%j switches tracing on: %s', (env, wanted) => {
    expect(tracingWanted(env)).toBe(wanted);
  });

  test.each([
    ['http://user:secret@collector:4318/x?key=secret', { readable: true, host: 'collector:4318' }],
    ['collector:4318', { readable: false, variable: 'OTEL_EXPORTER_OTLP_ENDPOINT' }],
    ['http//collector', { readable: false, variable: 'OTEL_EXPORTER_OTLP_ENDPOINT' }],
    ['', undefined],
  ])('the collector of %j is %j', (found, endpoint) => {
    expect(readEndpoint({ OTEL_EXPORTER_OTLP_ENDPOINT: found })).toEqual(endpoint);
  });

  test('a collector that is no URL is told of without its words, and nothing is sent elsewhere', async () => {
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', 'user:secret@collector:4318');
    expect(await openTracing({ service: 'weft-test', version: '1.2.3', logger })).toBeUndefined();
    expect(lines).toEqual([{ event: 'tracing-endpoint', variable: 'OTEL_EXPORTER_OTLP_ENDPOINT' }]);
  });

  test.each([
    [undefined, undefined, true, 1, undefined],
    ['always_on', undefined, false, 1, undefined],
    ['always_off', undefined, false, 0, undefined],
    ['traceidratio', '0.25', false, 0.25, undefined],
    ['parentbased_traceidratio', '0.25', true, 0.25, undefined],
    ['parentbased_traceidratio', undefined, true, 1, undefined],
    ['parentbased_traceidratio', '7', true, 1, 'OTEL_TRACES_SAMPLER_ARG=7'],
    ['jaeger_remote', undefined, true, 1, 'OTEL_TRACES_SAMPLER=jaeger_remote'],
  ])('the sampler %s with %s', (sampler, argument, parentBased, ratio, unread) => {
    const read = readSampling({ OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: argument });
    expect(read).toEqual({ parentBased, ratio, unread });
  });

  test('a batch may not take longer than a stop may wait', () => {
    const bounds = readBatchBounds({ OTEL_EXPORTER_OTLP_TIMEOUT: '60000', OTEL_BSP_MAX_QUEUE_SIZE: '10' });
    expect(bounds).toEqual({ delayMs: 5_000, queued: 10, batch: 512, exportMs: 2_000 });
    expect(readBatchBounds({ OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: '300' }).exportMs).toBe(300);
  });
});

test.each([
  [`00-${TRACE_ID}-${SPAN_ID}-01`, { traceId: TRACE_ID, spanId: SPAN_ID, sampled: true }],
  [`00-${TRACE_ID}-${SPAN_ID}-00`, { traceId: TRACE_ID, spanId: SPAN_ID, sampled: false }],
  [`01-${TRACE_ID}-${SPAN_ID}-03-later`, { traceId: TRACE_ID, spanId: SPAN_ID, sampled: true }],
  [`00-${TRACE_ID}-${SPAN_ID}-01-later`, undefined],
  [`ff-${TRACE_ID}-${SPAN_ID}-01`, undefined],
  [`00-${'0'.repeat(32)}-${SPAN_ID}-01`, undefined],
  [`00-${TRACE_ID}-${'0'.repeat(16)}-01`, undefined],
  [`00-${TRACE_ID.toUpperCase()}-${SPAN_ID}-01`, undefined],
  ['', undefined],
])('traceparent %j', (header, parent) => {
  expect(parseTraceParent(header)).toEqual(parent);
});

test('without a collector there is no tracer', async () => {
  expect(await openTracing({ service: 'weft-test', version: '1.2.3', logger })).toBeUndefined();
  expect(lines).toEqual([]);
});

/** Modules of OpenTelemetry that a process loads when it opens the tracer. */
async function loaded(env: NodeJS.ProcessEnv): Promise<string[]> {
  const script = `
    import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ load(url, context, next) {
      if (url.includes('/@opentelemetry/')) loaded.push(url);
      return next(url, context);
    } });
    const { openTracing } = await import(${JSON.stringify(new URL('./tracing.ts', import.meta.url).href)});
    const logger = { info() {}, warn() {} };
    await openTracing({ service: 'weft-test', version: '1.2.3', logger });
    console.log(JSON.stringify(loaded));
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { env });
  return JSON.parse(stdout) as string[];
}

test('nothing of OpenTelemetry is loaded when it is off', async () => {
  expect(await loaded({})).toEqual([]);
  expect(await loaded({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' })).not.toEqual([]);
});

describe('with a collector', () => {
  let collector: Collector;

  beforeEach(async () => {
    collector = await Collector.start();
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', collector.endpoint);
  });

  afterEach(() => collector.close());

  test('spans arrive, with children, events and errors, at the latest when the tracer closes', async () => {
    const tracing = await open();
    const span = tracing.start({ name: 'work', kind: 'server', values: { 'weft.network': 'prod' } });
    const step = span?.child('step', { 'weft.port': 6379 });
    step?.fail('it broke');
    step?.end();
    span?.event('decided', { 'weft.verdict': 'deny' });
    span?.set({ 'weft.revision': 7 });
    span?.end();
    await tracing.close();
    const [inner, outer] = collector.spans;
    expect(outer).toMatchObject({
      name: 'work',
      kind: 2,
      service: 'weft-test',
      values: { 'weft.network': 'prod', 'weft.revision': 7 },
      events: [{ name: 'decided', values: { 'weft.verdict': 'deny' } }],
      error: undefined,
    });
    expect(inner).toMatchObject({ name: 'step', values: { 'weft.port': 6379 }, error: 'it broke' });
    expect([inner?.traceId, inner?.parentSpanId]).toEqual([outer?.traceId, outer?.spanId]);
    expect(collector.strays).toEqual([]);
  });

  test('the variables give the names of the process', async () => {
    vi.stubEnv('OTEL_SERVICE_NAME', 'edge');
    const tracing = await open();
    tracing.start({ name: 'work', kind: 'server' })?.end();
    await tracing.close();
    expect(collector.spans.map(({ service }) => service)).toEqual(['edge']);
  });

  test('ids that are given are kept, and only for the span they were given to', async () => {
    const tracing = await open();
    tracing.start({ name: 'known', kind: 'client', identity: { traceId: TRACE_ID, spanId: SPAN_ID } })?.end();
    tracing.start({ name: 'random', kind: 'client' })?.end();
    const parent = { traceId: TRACE_ID, spanId: SPAN_ID, sampled: undefined };
    tracing.start({ name: 'answer', kind: 'server', parent })?.end();
    await tracing.close();
    const [known, random, answer] = collector.spans;
    expect([known?.traceId, known?.spanId, known?.parentSpanId]).toEqual([TRACE_ID, SPAN_ID, undefined]);
    expect(random?.traceId).not.toBe(TRACE_ID);
    expect([answer?.traceId, answer?.parentSpanId]).toEqual([TRACE_ID, SPAN_ID]);
    expect(answer?.spanId).not.toBe(SPAN_ID);
  });

  test('two ends that share a trace keep the same share of traces', async () => {
    vi.stubEnv('OTEL_TRACES_SAMPLER', 'parentbased_traceidratio');
    vi.stubEnv('OTEL_TRACES_SAMPLER_ARG', '0.5');
    const [near, far] = [await open(), await open()];
    const kept = new Set<boolean>();
    for (let at = 1; at <= 64; at++) {
      const id = (0x9e3779b97f4a7c15n * BigInt(at)) & 0xffffffffffffffffn;
      const spanId = id.toString(16).padStart(16, '0');
      const identity = { traceId: `77656674666c6f77${spanId}`, spanId };
      const asked = near.start({ name: 'ask', kind: 'client', identity });
      const answered = far.start({ name: 'answer', kind: 'server', parent: { ...identity, sampled: undefined } });
      expect(asked === undefined).toBe(answered === undefined);
      kept.add(asked !== undefined);
    }
    expect(kept).toEqual(new Set([true, false]));
    await Promise.all([near.close(), far.close()]);
  });

  test("a caller's decision is the caller's", async () => {
    const tracing = await open();
    const parent = { traceId: TRACE_ID, spanId: SPAN_ID };
    expect(tracing.start({ name: 'left', kind: 'server', parent: { ...parent, sampled: false } })).toBeUndefined();
    expect(tracing.start({ name: 'kept', kind: 'server', parent: { ...parent, sampled: true } })).toBeDefined();
    await tracing.close();
  });
});

describe('a collector that is away', () => {
  test('is told of, and holds up neither spans nor the end', async () => {
    const gone = await Collector.start();
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', gone.endpoint);
    await gone.close();
    vi.stubEnv('OTEL_EXPORTER_OTLP_TIMEOUT', '50');
    const tracing = await open();
    tracing.start({ name: 'work', kind: 'server' })?.end();
    await tracing.close();
    expect(lines).toMatchObject([{ event: 'tracing' }, { event: 'trace-export-failed', lost: 1 }]);
  });

  test('is told of once a minute, with what was lost since', () => {
    const clock = { nowMs: 0 };
    const failing = {
      export: (_: unknown, done: (result: { code: number; error: Error }) => void) =>
        done({ code: 1, error: new Error('refused') }),
      shutdown: () => Promise.resolve(),
    };
    const exporter = new ComplainingExporter(failing, logger, () => clock.nowMs);
    const batch = [1, 2, 3] as unknown as Parameters<ComplainingExporter['export']>[0];
    const codes: number[] = [];
    for (const nowMs of [0, 59_999, 60_000]) {
      clock.nowMs = nowMs;
      exporter.export(batch, ({ code }) => void codes.push(code));
    }
    expect(codes).toEqual([1, 1, 1]);
    expect(lines.map(({ lost }) => lost)).toEqual([3, 6]);
  });
});
