/** Calls that no library makes: each ends at once, or within the time for a request, and nothing of it stays. */
import { constants } from 'node:http2';
import { type Metadata, status } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import { ByteBudget } from '../bounds/budget.ts';
import { ProvedCalls } from './call-stream.ts';
import { openCalls } from './open-calls.ts';
import { framed, RawCalls, rawMethod } from './raw-call.fixture.ts';
import { requestLimits } from './request-limits.ts';
import { requestTimer } from './request-timer.ts';
import { unreadAnswers } from './unread-answers.ts';

const calls = new RawCalls();
afterEach(() => calls.close());

const CHECK = '/grpc.health.v1.Health/Check';
const REQUEST_MS = 300;
const EMPTY = framed(Buffer.alloc(0));
const { OK, INTERNAL, UNIMPLEMENTED, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED } = status;

interface Odd {
  readonly headers?: Record<string, string>;
  readonly body?: Buffer;
  /** The caller does not end its half. */
  readonly open?: boolean;
}

async function served() {
  const budget = new ByteBudget(1 << 20, 1 << 20);
  const asked: Metadata[] = [];
  const check = (call: { metadata: Metadata }, answer: (error: null, bytes: Buffer) => void) => {
    asked.push(call.metadata);
    answer(null, Buffer.of(8, 1));
  };
  const address = await calls.serve({ check: rawMethod(CHECK, false, false) }, { check }, [
    requestLimits(new ProvedCalls(), budget),
    openCalls(),
    requestTimer(REQUEST_MS),
    unreadAnswers({ anyoneMs: REQUEST_MS, tokenMs: REQUEST_MS }),
  ]);
  /** How a call ends: by its HTTP status and gRPC's, each none where it has none. */
  const ending = async ({ headers = {}, body = EMPTY, open = false }: Odd) => {
    const stream = calls.open(address, CHECK, body, headers);
    let http: unknown;
    let grpc: unknown;
    const heard = (got: Record<string, unknown>) => {
      http ??= got[':status'];
      grpc ??= got['grpc-status'];
    };
    stream.on('response', heard).on('trailers', heard);
    if (!open) stream.end();
    await new Promise((resolve) => stream.on('close', resolve));
    return { http, grpc: grpc === undefined ? undefined : Number(grpc), reset: stream.rstCode };
  };
  return { budget, asked, ending };
}

test.each<[string, Odd, number | undefined]>([
  ['no message', { body: Buffer.alloc(0) }, UNIMPLEMENTED],
  ['no message, and more to come', { body: Buffer.alloc(0), open: true }, DEADLINE_EXCEEDED],
  ['half a prefix', { body: EMPTY.subarray(0, 3) }, UNIMPLEMENTED],
  ['half a message', { body: framed(Buffer.alloc(3), { length: 9 }) }, UNIMPLEMENTED],
  ['half a message, and more to come', { body: framed(Buffer.alloc(3), { length: 9 }), open: true }, DEADLINE_EXCEEDED],
  ['a length of 4 GiB', { body: framed(Buffer.alloc(3), { length: 0xffff_ffff }), open: true }, RESOURCE_EXHAUSTED],
  ['two messages', { body: Buffer.concat([EMPTY, EMPTY]) }, UNIMPLEMENTED],
  [
    'a compressed message of no coding',
    { headers: { 'grpc-encoding': 'identity' }, body: framed(Buffer.alloc(4), { compressed: true }) },
    UNIMPLEMENTED,
  ],
  ['a coding that nobody knows, and nothing in it', { headers: { 'grpc-encoding': 'zstd' } }, OK],
  ['a time that is none', { headers: { 'grpc-timeout': 'soon' } }, INTERNAL],
  [
    'no time for half a message',
    { headers: { 'grpc-timeout': '0n' }, body: framed(Buffer.alloc(3), { length: 9 }), open: true },
    DEADLINE_EXCEEDED,
  ],
  ['a time of two hours', { headers: { 'grpc-timeout': '7200S' } }, OK],
  ['a binary field that is none', { headers: { 'x-bin': '!!!!' } }, OK],
])('%s', async (_which, odd, expected) => {
  const { budget, ending } = await served();
  const { grpc } = await ending(odd);
  expect(grpc).toBe(expected);
  expect(budget.total).toBe(0);
});

test.each<[string, Record<string, string>]>([
  ['another content', { 'content-type': 'text/plain' }],
  ['no such call', { ':path': '/no.Such/Call' }],
  ['no call', { ':path': '/' }],
])('%s reaches nobody', async (_which, headers) => {
  const { asked, ending } = await served();
  const { http, grpc, reset } = await ending({ headers });
  expect(grpc === UNIMPLEMENTED || http !== 200 || reset !== constants.NGHTTP2_NO_ERROR).toBe(true);
  expect(asked).toEqual([]);
});
