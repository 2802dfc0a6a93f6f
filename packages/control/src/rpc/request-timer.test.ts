import { once } from 'node:events';
import { constants } from 'node:http2';
import { status } from '@grpc/grpc-js';
import { agentService } from '@weft/proto/wire';
import { afterEach, expect, test, vi } from 'vitest';
import { TestControl } from '../watch/control.fixture.ts';
import { framedAgentService } from './agent-service.ts';
import { framed, RawCalls } from './raw-call.fixture.ts';
import { requestTimer } from './request-timer.ts';

const calls = new RawCalls();
afterEach(() => calls.close());

/** The beginning of a message, of which no more comes. */
const HALF = framed(Buffer.from([1, 2, 3]), { length: 65_536 });

test('a join that does not come to its end is ended, and nothing of it is held', async () => {
  const joins: unknown[] = [];
  const handlers = { join: (call: unknown) => void joins.push(call), connect: () => undefined };
  const address = await calls.serve(framedAgentService, handlers, [requestTimer(50)]);
  const stream = calls.open(address, agentService.join.path, HALF);
  const [[headers]] = await Promise.all([once(stream, 'response'), once(stream, 'close')]);
  expect(headers).toMatchObject({ 'grpc-status': String(status.DEADLINE_EXCEEDED) });
  expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
  expect(joins).toEqual([]);
});

test("of many of which not all has come the oldest makes room, and one that is whole is in nobody's way", async () => {
  const joins: unknown[] = [];
  const handlers = { join: (call: unknown) => void joins.push(call), connect: () => undefined };
  const limits = { most: 2, mostOfOne: 2 };
  const address = await calls.serve(framedAgentService, handlers, [requestTimer(10_000, limits)]);
  const whole = calls.open(address, agentService.join.path, framed(Buffer.alloc(0)));
  whole.end();
  await vi.waitFor(() => expect(joins).toHaveLength(1));
  const [first, ...others] = [1, 2, 3].map(() => calls.open(address, agentService.join.path, Buffer.alloc(0)));
  const [headers] = (await once(first ?? whole, 'response')) as [Record<string, string>];
  expect(headers['grpc-status']).toBe(String(status.RESOURCE_EXHAUSTED));
  others[0]?.close(constants.NGHTTP2_CANCEL);
  await vi.waitFor(() => expect(first?.closed).toBe(true));
  calls.open(address, agentService.join.path, Buffer.alloc(0));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([others[1]?.closed, whole.closed]).toEqual([false, false]);
});

test('a stream whose hello does not come to its end is ended likewise', async () => {
  await using control = await TestControl.start({ timing: { helloMs: 20, farewellMs: 30 } });
  const stream = calls.open(control.address, agentService.connect.path, HALF);
  const [[trailers]] = await Promise.all([once(stream, 'trailers'), once(stream, 'close')]);
  expect(trailers).toMatchObject({ 'grpc-status': String(status.DEADLINE_EXCEEDED) });
});
