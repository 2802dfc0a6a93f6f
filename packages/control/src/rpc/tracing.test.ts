import { credentials, Metadata, Server, ServerCredentials, status, type UntypedHandleCall } from '@grpc/grpc-js';
import type { Span, SpanRequest, SpanValues, Tracer } from '@weft/proto/observe';
import {
  AdminClient,
  AgentClient,
  adminService,
  agentService,
  callDuplex,
  callServerStream,
  callUnary,
} from '@weft/proto/wire';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { rpcTracing } from './tracing.ts';

interface Told {
  readonly request: SpanRequest;
  readonly values: Record<string, unknown>;
  error: string | undefined;
  ended: number;
}

class FakeTracer implements Tracer {
  readonly told: Told[] = [];

  start(request: SpanRequest): Span {
    const told: Told = { request, values: { ...request.values }, error: undefined, ended: 0 };
    this.told.push(told);
    return {
      child: () => expect.unreachable(),
      set: (values: SpanValues) => void Object.assign(told.values, values),
      event: () => {},
      fail: (reason) => {
        told.error = reason;
      },
      end: () => {
        told.ended += 1;
      },
    };
  }
}

interface AgentStream {
  write(message: object): void;
  on(event: 'data', heard: (message: { readonly hello: { readonly agentId: string } }) => void): void;
  emit(event: 'error', error: object): void;
}

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const SPAN_ID = 'b7ad6b7169203331';
const PARENT = { traceId: TRACE_ID, spanId: SPAN_ID, sampled: true };

let tracer: FakeTracer;
let server: Server;
let admin: AdminClient;
let agents: AgentClient;

/** By name of the method; whatever else is called is not implemented. */
const HANDLERS: Record<string, UntypedHandleCall> = {
  apply: (_call: unknown, callback: (error: null, answer: object) => void) =>
    callback(null, { result: { revision: 7 } }),
  explain: (_call: unknown, callback: (error: object) => void) => callback({ code: status.NOT_FOUND, details: 'no' }),
  getStatus: (_call: unknown, callback: (error: object) => void) => callback({ code: status.INTERNAL, details: 'x' }),
  watchFlows: ((call: { write(message: object): void }) => call.write({})) as UntypedHandleCall,
  listTokens: (() => {}) as UntypedHandleCall,
};

beforeAll(async () => {
  server = new Server({ interceptors: [(method, call) => rpcTracing(tracer)(method, call)] });
  server.addService(adminService as never, HANDLERS);
  server.addService(agentService as never, {
    connect: ((call: AgentStream) => {
      call.write({ challenge: { nonce: new Uint8Array(32) } });
      call.on('data', ({ hello }) => {
        if (hello.agentId !== 'stranger') return call.write({ trace: { id: 1, agentId: 'a' } });
        call.write({ revoked: { reason: 'control knows no such agent' } });
        call.emit('error', { code: status.PERMISSION_DENIED, details: 'control knows no such agent' });
      });
    }) as UntypedHandleCall,
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  admin = new AdminClient(`127.0.0.1:${port}`, credentials.createInsecure());
  agents = new AgentClient(`127.0.0.1:${port}`, credentials.createInsecure());
});

beforeEach(() => {
  tracer = new FakeTracer();
});

afterAll(() => {
  admin.close();
  agents.close();
  server.forceShutdown();
});

function traceParent(): Metadata {
  const metadata = new Metadata();
  metadata.set('traceparent', `00-${TRACE_ID}-${SPAN_ID}-01`);
  metadata.set('authorization', 'Bearer secret');
  return metadata;
}

test('a call is a span of its caller, with how it ended and nothing of what it said but the network', async () => {
  const mesh = { network: 'prod', services: [{ name: 'redis' }] };
  await callUnary(admin, adminService.apply, { mesh }, { metadata: traceParent() });
  expect(tracer.told).toEqual([
    {
      request: {
        name: 'weft.v1.AdminService/Apply',
        kind: 'server',
        values: expect.anything(),
        parent: PARENT,
      },
      values: {
        'rpc.system.name': 'grpc',
        'rpc.method': 'weft.v1.AdminService/Apply',
        'client.address': '127.0.0.1',
        'weft.network': 'prod',
        'rpc.response.status_code': 'OK',
      },
      error: undefined,
      ended: 1,
    },
  ]);
});

test("what the caller asked wrong is no error of control's", async () => {
  await expect(callUnary(admin, adminService.explain, {}, {})).rejects.toThrow();
  await expect(callUnary(admin, adminService.getStatus, {}, {})).rejects.toThrow();
  const [asked, failed] = tracer.told;
  expect(asked).toMatchObject({ values: { 'rpc.response.status_code': 'NOT_FOUND' }, error: undefined, ended: 1 });
  expect(failed).toMatchObject({ values: { 'error.type': 'INTERNAL' }, error: 'INTERNAL', ended: 1 });
  expect(asked?.request.parent).toBeUndefined();
});

test('a caller that gives up ends the span', async () => {
  const call = callUnary(admin, adminService.listTokens, { network: 'prod' }, { deadlineMs: 20 });
  await expect(call).rejects.toThrow();
  await expect.poll(() => tracer.told[0]?.ended).toBe(1);
});

test('a stream is told of at its first answer, and no more', async () => {
  const stream = callServerStream(admin, adminService.watchFlows, { network: 'prod' }, {});
  for await (const message of stream as AsyncIterable<unknown>) {
    expect(message).toBeDefined();
    break;
  }
  expect(tracer.told).toMatchObject([{ request: { name: 'weft.v1.AdminService/WatchFlows' }, ended: 1 }]);
});

test("an agent's stream is told of from its hello to the first answer; its traceparent is not heard", async () => {
  const stream = callDuplex(agents, agentService.connect, { metadata: traceParent() });
  stream.on('error', () => {});
  const heard = stream[Symbol.asyncIterator]();
  await heard.next();
  expect(tracer.told).toMatchObject([{ request: { name: 'weft.v1.AgentService/Connect' }, ended: 0 }]);
  stream.write({ hello: { agentId: 'agent-1' } });
  await heard.next();
  expect(tracer.told).toMatchObject([{ values: { 'weft.agent': 'agent-1' }, error: undefined, ended: 1 }]);
  expect(tracer.told[0]?.request.parent).toBeUndefined();
  stream.cancel();
});

test('what a stranger says to be is in no span', async () => {
  const stream = callDuplex(agents, agentService.connect, {});
  stream.on('error', () => {});
  const heard = stream[Symbol.asyncIterator]();
  await heard.next();
  stream.write({ hello: { agentId: 'stranger' } });
  await expect.poll(() => tracer.told[0]?.ended).toBe(1);
  expect(tracer.told[0]?.values).toEqual({
    'rpc.system.name': 'grpc',
    'rpc.method': 'weft.v1.AgentService/Connect',
    'client.address': '127.0.0.1',
    'rpc.response.status_code': 'PERMISSION_DENIED',
  });
});
