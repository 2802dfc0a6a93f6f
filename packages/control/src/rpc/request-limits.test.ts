import { once } from 'node:events';
import type { ClientHttp2Stream } from 'node:http2';
import { gzipSync } from 'node:zlib';
import { type ServerDuplexStream, type ServerInterceptor, status } from '@grpc/grpc-js';
import { agentService, type pb } from '@weft/proto/wire';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ByteBudget } from '../bounds/budget.ts';
import { framedAgentService } from './agent-service.ts';
import { ProvedCalls } from './call-stream.ts';
import { framed, RawCalls, rawMethod } from './raw-call.fixture.ts';
import { REQUEST_BYTES, requestLimits } from './request-limits.ts';

const calls = new RawCalls();
afterEach(() => calls.close());

const JOIN = agentService.join.path;
const CONNECT = agentService.connect.path;

interface Served {
  readonly address: string;
  readonly joined: unknown[];
  readonly connected: ServerDuplexStream<pb.AgentMessage, pb.Outgoing<pb.ControlMessage>>[];
}

async function serve(...interceptors: ServerInterceptor[]): Promise<Served> {
  const joined: unknown[] = [];
  const connected: Served['connected'] = [];
  const handlers = {
    join: (call: unknown) => void joined.push(call),
    connect: (call: Served['connected'][number]) => {
      call.on('data', () => undefined).on('error', () => undefined);
      connected.push(call);
    },
  };
  return { address: await calls.serve(framedAgentService, handlers, interceptors), joined, connected };
}

async function statusOf(stream: ClientHttp2Stream): Promise<number> {
  const [headers] = (await Promise.race([once(stream, 'response'), once(stream, 'trailers')])) as [
    Record<string, string | undefined>,
  ];
  if (headers['grpc-status'] !== undefined) return Number(headers['grpc-status']);
  const [trailers] = (await once(stream, 'trailers')) as [Record<string, string>];
  return Number(trailers['grpc-status']);
}

describe('a compressed message is refused at its first byte', () => {
  test.each(['gzip', 'deflate', 'identity', undefined])('with grpc-encoding %s', async (encoding) => {
    const { address, joined } = await serve(requestLimits(new ProvedCalls()));
    const bomb = framed(gzipSync(Buffer.alloc(8 << 20)), { compressed: true });
    const headers: Record<string, string> = encoding === undefined ? {} : { 'grpc-encoding': encoding };
    const stream = calls.open(address, JOIN, bomb, headers);
    expect(await statusOf(stream)).toBe(status.UNIMPLEMENTED);
    expect(joined).toEqual([]);
  });

  test('also behind one that is not', async () => {
    const { address } = await serve(requestLimits(new ProvedCalls()));
    const plain = framed(Buffer.alloc(0));
    const stream = calls.open(address, CONNECT, Buffer.concat([plain, framed(Buffer.from([1]), { compressed: true })]));
    expect(await statusOf(stream)).toBe(status.UNIMPLEMENTED);
  });
});

describe('a message is refused by what its prefix says, before it comes', () => {
  test.each([
    ['a join', JOIN, REQUEST_BYTES.join],
    ['a hello', CONNECT, REQUEST_BYTES.hello],
  ])('%s', async (_what, path, most) => {
    const budget = new ByteBudget(1 << 20, 1 << 20);
    const { address } = await serve(requestLimits(new ProvedCalls(), budget));
    const over = calls.open(address, path, framed(Buffer.alloc(0), { length: most + 1 }));
    expect(await statusOf(over)).toBe(status.RESOURCE_EXHAUSTED);
    expect(budget.total).toBe(0);
    calls.open(address, path, framed(Buffer.alloc(most - 1), { length: most }));
    await vi.waitFor(() => expect(budget.total).toBe(most - 1));
  });

  test('one that anyone may send, such as to health and reflection', async () => {
    const path = '/grpc.health.v1.Health/Check';
    const check = rawMethod(path, false, false);
    const handlers = {
      check: (_call: unknown, answer: (error: null, bytes: Buffer) => void) => answer(null, Buffer.of()),
    };
    const address = await calls.serve({ check }, handlers, [requestLimits(new ProvedCalls())]);
    expect(await statusOf(calls.open(address, path, framed(Buffer.alloc(4_097))))).toBe(status.RESOURCE_EXHAUSTED);
    const largest = calls.open(address, path, framed(Buffer.alloc(4_096)));
    largest.end();
    expect(await statusOf(largest)).toBe(status.OK);
  });

  test('its prefix may come byte by byte', async () => {
    const { address } = await serve(requestLimits(new ProvedCalls()));
    const prefix = framed(Buffer.alloc(0), { length: REQUEST_BYTES.join + 1 });
    const stream = calls.open(address, JOIN, prefix.subarray(0, 1));
    for (let at = 1; at < prefix.length; at += 1) stream.write(prefix.subarray(at, at + 1));
    expect(await statusOf(stream)).toBe(status.RESOURCE_EXHAUSTED);
  });
});

test('an agent that has proved itself may send more, and counts no more', async () => {
  const budget = new ByteBudget(1 << 20, 1 << 20);
  const proved = new ProvedCalls();
  const { address, connected } = await serve(requestLimits(proved, budget));
  const stream = calls.open(address, CONNECT, framed(Buffer.alloc(0)));
  await vi.waitFor(() => expect(connected).toHaveLength(1));
  for (const call of connected) proved.prove(call);
  const received = vi.fn();
  connected[0]?.on('data', received);
  stream.write(framed(Buffer.from([0x12, 0x02, 0x10, 0x07])));
  // A field that is not known is passed over.
  stream.write(framed(Buffer.concat([Buffer.from([0x7a, 0x80, 0x80, 0x04]), Buffer.alloc(65_536)])));
  await vi.waitFor(() => expect(received).toHaveBeenCalledTimes(2));
  expect(budget.total).toBe(0);
});

test('what is half sent by one address is bounded, and given back when it ends', async () => {
  const budget = new ByteBudget(200_000, 100_000);
  const { address } = await serve(requestLimits(new ProvedCalls(), budget));
  const half = framed(Buffer.alloc(60_000), { length: 60_001 });
  const first = calls.open(address, JOIN, half);
  await vi.waitFor(() => expect(budget.total).toBe(60_000));
  expect(await statusOf(calls.open(address, JOIN, half))).toBe(status.RESOURCE_EXHAUSTED);
  expect(budget.total).toBe(60_000);
  first.close();
  await vi.waitFor(() => expect(budget.total).toBe(0));
  calls.open(address, JOIN, half);
  await vi.waitFor(() => expect(budget.total).toBe(60_000));
});

test('what is only announced shuts out nobody, and of all that is half sent the oldest makes room', async () => {
  const budget = new ByteBudget(100_000, 1_000_000);
  const { address, joined } = await serve(requestLimits(new ProvedCalls(), budget));
  const announced = Array.from({ length: 20 }, () =>
    calls.open(address, JOIN, framed(Buffer.alloc(1), { length: 65_536 })),
  );
  const half = framed(Buffer.alloc(60_000), { length: 60_001 });
  await vi.waitFor(() => expect(budget.total).toBe(20));
  const older = calls.open(address, JOIN, half);
  await vi.waitFor(() => expect(budget.total).toBe(60_020));
  const ended = Promise.all([...announced, older].map(statusOf));
  const newer = calls.open(address, JOIN, half);
  expect(new Set(await ended)).toEqual(new Set([status.RESOURCE_EXHAUSTED]));
  expect(budget.total).toBe(60_000);
  calls.open(address, JOIN, framed(Buffer.alloc(0))).end();
  await vi.waitFor(() => expect(joined).toHaveLength(1));
  newer.close();
  await vi.waitFor(() => expect(budget.total).toBe(0));
});
