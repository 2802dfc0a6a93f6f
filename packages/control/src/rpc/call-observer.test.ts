import {
  credentials,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  status,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import { AdminClient, adminService, callServerStream, callUnary } from '@weft/proto/wire';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type CallObserver, callObserver } from './call-observer.ts';

type Ended = Parameters<CallObserver['ended']>[0];

let told: Ended[] = [];
let wake = (): void => undefined;
let server: Server;
let client: AdminClient;

/** As the check of the admin token does. */
const refuseStatus: ServerInterceptor = (method, call) => {
  if (method.path !== adminService.getStatus.path) return new ServerInterceptingCall(call);
  return new ServerInterceptingCall(call, {
    start: (next) => {
      next({ onReceiveMetadata: () => call.sendStatus({ code: status.UNAUTHENTICATED, details: 'no' }) });
    },
  });
};

const HANDLERS: Record<string, UntypedHandleCall> = {
  apply: (_call: unknown, callback: (error: null, answer: object) => void) =>
    callback(null, { result: { revision: 7 } }),
  explain: (_call: unknown, callback: (error: object) => void) => callback({ code: status.NOT_FOUND, details: 'no' }),
  listTokens: (() => undefined) as UntypedHandleCall,
  watchFlows: ((call: { end(): void }) => call.end()) as UntypedHandleCall,
};

beforeAll(async () => {
  const observer: CallObserver = {
    ended: (call) => {
      told.push(call);
      wake();
    },
  };
  server = new Server({ interceptors: [callObserver(observer), refuseStatus] });
  server.addService(adminService as never, HANDLERS);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  client = new AdminClient(`127.0.0.1:${port}`, credentials.createInsecure());
});

beforeEach(() => {
  told = [];
});

afterAll(() => {
  client.close();
  server.forceShutdown();
});

const one = (path: string, code: status, stream = false) => [{ path, code, stream, seconds: expect.any(Number) }];

test('a call is told once, by how it ended', async () => {
  await callUnary(client, adminService.apply, {}, {});
  expect(told).toEqual(one(adminService.apply.path, status.OK));
  told = [];
  await expect(callUnary(client, adminService.explain, {}, {})).rejects.toThrow();
  expect(told).toEqual(one(adminService.explain.path, status.NOT_FOUND));
});

test('a call that another interceptor refuses is told too', async () => {
  await expect(callUnary(client, adminService.getStatus, {}, {})).rejects.toThrow();
  expect(told).toEqual(one(adminService.getStatus.path, status.UNAUTHENTICATED));
});

test('a stream is told as one', async () => {
  for await (const _ of callServerStream(client, adminService.watchFlows, {}, {})) expect.unreachable();
  expect(told).toEqual(one(adminService.watchFlows.path, status.OK, true));
});

test('a call that its caller gives up is told as cancelled', async () => {
  const ended = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const abort = new AbortController();
  const asked = callUnary(client, adminService.listTokens, {}, { signal: abort.signal });
  setImmediate(() => abort.abort());
  await expect(asked).rejects.toThrow();
  await ended;
  expect(told).toEqual(one(adminService.listTokens.path, status.CANCELLED));
});
