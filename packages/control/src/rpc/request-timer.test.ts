import { once } from 'node:events';
import { type ClientHttp2Stream, connect, constants } from 'node:http2';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import { type AgentHandlers, agentService } from '@weft/proto/wire';
import { afterEach, expect, test } from 'vitest';
import { TestControl } from '../watch/control.fixture.ts';
import { framedAgentService } from './agent-service.ts';
import { requestTimer } from './request-timer.ts';

const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

/** A call of which a caller sends the beginning of one message, and no more. */
function halfAsked(address: string, path: string): ClientHttp2Stream {
  const session = connect(`http://${address}`);
  closers.push(() => session.destroy());
  const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
  const stream = session.request(headers, { endStream: false });
  stream.write(Buffer.from([0, 0, 1, 0, 0, 1, 2, 3]));
  stream.on('error', () => undefined).resume();
  return stream;
}

async function serve(handlers: AgentHandlers): Promise<string> {
  const server = new Server({ interceptors: [requestTimer(50)] });
  server.addService(framedAgentService, handlers);
  closers.push(() => server.forceShutdown());
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(`127.0.0.1:${port}`);
      else reject(error);
    });
  });
}

test('a join that does not come to its end is ended, and nothing of it is held', async () => {
  const joins: unknown[] = [];
  const address = await serve({ join: (call) => void joins.push(call), connect: () => undefined });
  const stream = halfAsked(address, agentService.join.path);
  const [[headers]] = await Promise.all([once(stream, 'response'), once(stream, 'close')]);
  expect(headers).toMatchObject({ 'grpc-status': String(status.DEADLINE_EXCEEDED) });
  expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
  expect(joins).toEqual([]);
});

test('a stream whose hello does not come to its end is ended likewise', async () => {
  await using control = await TestControl.start({ timing: { helloMs: 20, farewellMs: 30 } });
  const stream = halfAsked(control.address, agentService.connect.path);
  const [[trailers]] = await Promise.all([once(stream, 'trailers'), once(stream, 'close')]);
  expect(trailers).toMatchObject({ 'grpc-status': String(status.DEADLINE_EXCEEDED) });
});
