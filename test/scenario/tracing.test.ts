import { openTracing, type Tracing } from '@weft/proto/observe';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type CollectedSpan, Collector } from '../harness/collector.ts';
import { until } from '../harness/until.ts';
import type { Agent } from './agent.ts';
import { Mesh, NETWORK } from './mesh.ts';
import { echo, ending, says, type TcpProgram } from './programs.ts';

let collector: Collector;
let near: Tracing;
let far: Tracing;
let mesh: Mesh;
let program: TcpProgram;
let front: Agent;

async function tracing(service: string): Promise<Tracing> {
  const opened = await openTracing({ service, version: '0.0.0', logger: pino({ level: 'silent' }) });
  if (opened === undefined) throw new Error('tracing is off');
  return opened;
}

beforeAll(async () => {
  collector = await Collector.start();
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', collector.endpoint);
  vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '20');
  near = await tracing('agent-front');
  far = await tracing('agent-data');
  mesh = await Mesh.start(
    'services:\n' +
      '  web: { kind: web, ports: [3000] }\n' +
      '  redis: { kind: private, ports: [6379, 6380, 6381] }\n' +
      'policies:\n' +
      '  - { name: no-admin, action: deny, from: [web], to: [redis], ports: [6381] }\n',
  );
  program = await echo();
  await mesh.agent('data', { services: { redis: { 6379: program.port, 6380: 9, 6381: program.port } }, tracer: far });
  front = await mesh.agent('front', { services: { web: { 3000: program.port } }, tracer: near });
});

afterAll(async () => {
  await mesh.close();
  await Promise.all([near.close(), far.close()]);
  await program.stop();
  await collector.close();
  vi.unstubAllEnvs();
});

/** The trace of the flow to this port, once it has so many spans. */
async function traceOf(port: number, count: number): Promise<readonly CollectedSpan[]> {
  const asked = ({ name, values }: CollectedSpan) => name === 'weft.flow.connect' && values['weft.port'] === port;
  return until(
    `${count} spans of a flow to port ${port}`,
    async () => {
      const root = collector.spans.find(asked);
      return collector.spans.filter(({ traceId }) => traceId === root?.traceId);
    },
    ({ length }) => length >= count,
  );
}

function only(spans: readonly CollectedSpan[], name: string): CollectedSpan {
  const found = spans.filter((span) => span.name === name);
  expect(found, name).toHaveLength(1);
  return found[0] as CollectedSpan;
}

test('both ends of a flow tell one trace, found by the id in its record', async () => {
  const socket = await front.connect('redis', 6379);
  await says(socket, 'hello');
  socket.end();
  const [record] = await mesh.recorded('redis', 1);
  const spans = await traceOf(6379, 4);
  expect(spans.map(({ name }) => name).sort()).toEqual([
    'weft.flow.accept',
    'weft.flow.connect',
    'weft.target.dial',
    'weft.tunnel.open',
  ]);
  const connect = only(spans, 'weft.flow.connect');
  const accept = only(spans, 'weft.flow.accept');
  expect(connect).toMatchObject({ traceId: `77656674666c6f77${record?.id}`, spanId: record?.id, kind: 3 });
  expect(connect.parentSpanId).toBeUndefined();
  expect(accept).toMatchObject({ parentSpanId: connect.spanId, kind: 2, service: 'agent-data' });
  expect(only(spans, 'weft.tunnel.open')).toMatchObject({ parentSpanId: connect.spanId, service: 'agent-front' });
  expect(only(spans, 'weft.target.dial')).toMatchObject({ parentSpanId: accept.spanId, service: 'agent-data' });
  const values = {
    'weft.flow_id': record?.id,
    'weft.network': NETWORK,
    'weft.source': 'web',
    'weft.service': 'redis',
    'weft.port': 6379,
    'weft.protocol': 'tcp',
    'weft.verdict': 'allow',
    'weft.rule': 'default',
    'weft.revision': record?.revision,
    'weft.instance': 'redis/0',
    'weft.outcome': 'open',
  };
  expect(connect.values).toEqual({ ...values, 'weft.host': 'front' });
  expect(accept.values).toEqual({ ...values, 'weft.host': 'data' });
  expect(connect.events.map(({ name }) => name)).toEqual(['weft.verdict', 'weft.instances']);
});

test('a denied flow has a trace too, and is no error', async () => {
  await ending(await front.connect('redis', 6381));
  const spans = await traceOf(6381, 1);
  const denied = { 'weft.verdict': 'deny', 'weft.rule': 'no-admin', 'weft.outcome': 'denied' };
  expect(only(spans, 'weft.flow.connect')).toMatchObject({ values: denied, error: undefined });
  expect(spans).toHaveLength(1);
});

test('a program that does not listen is an error at both ends', async () => {
  await ending(await front.connect('redis', 6380));
  const spans = await traceOf(6380, 4);
  for (const name of ['weft.flow.connect', 'weft.tunnel.open', 'weft.flow.accept', 'weft.target.dial']) {
    expect(only(spans, name)).toMatchObject({ values: { 'weft.outcome': 'not-listening' } });
    expect(only(spans, name).error).toMatch(/redis 6380 → 127\.0\.0\.1:\d+: connection refused$/);
  }
});

test("control tells of calls, and of an agent's stream up to its first answer", async () => {
  const [apply] = await collector.named('weft.v1.AdminService/Apply', 1);
  expect(apply).toMatchObject({
    kind: 2,
    service: 'weft-control',
    values: {
      'rpc.system.name': 'grpc',
      'rpc.method': 'weft.v1.AdminService/Apply',
      'rpc.response.status_code': 'OK',
      'weft.network': NETWORK,
    },
  });
  expect(await collector.named('weft.v1.AgentService/Join', 2)).toHaveLength(2);
  const connects = await collector.named('weft.v1.AgentService/Connect', 2);
  for (const { values } of connects) expect(values['weft.agent']).toMatch(/./);
  const said = JSON.stringify(collector.spans);
  for (const secret of ['weftadmin1', 'weft1.', 'Bearer', 'private']) expect(said).not.toContain(secret);
});
