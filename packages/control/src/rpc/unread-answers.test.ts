import { once } from 'node:events';
import { type ClientHttp2Stream, connect, constants } from 'node:http2';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import { framed, RawCalls, rawMethod } from './raw-call.fixture.ts';
import { unreadAnswers } from './unread-answers.ts';

const calls = new RawCalls();
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
  calls.close();
});

const PATH = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
/** Answers each message with a thousand bytes, and looks at nothing else. */
async function serve(unreadMs: number) {
  const asked = { count: 0 };
  const info = (call: ServerDuplexStream<Buffer, Buffer>) => {
    call.on('data', () => {
      asked.count += 1;
      call.write(Buffer.alloc(1_000));
    });
    call.on('end', () => call.end()).on('error', () => undefined);
  };
  const service = { info: rawMethod(PATH, true, true) };
  return {
    address: await calls.serve(service, { info }, [unreadAnswers({ anyoneMs: unreadMs, tokenMs: unreadMs })]),
    asked,
  };
}

/** A call whose client takes no byte of an answer, or all. */
function ask(address: string, messages: number, initialWindowSize: number): ClientHttp2Stream {
  const session = connect(`http://${address}`, { settings: { initialWindowSize } });
  session.on('error', () => undefined);
  closers.push(() => session.destroy());
  const head = { ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc', te: 'trailers' };
  const stream = session.request(head, { endStream: false });
  stream.on('error', () => undefined).resume();
  stream.end(Buffer.concat(Array<Buffer>(messages).fill(framed(Buffer.from([0x3a, 0])))));
  return stream;
}

test('a caller who reads nothing is answered once, and cut after a while', async () => {
  const { address, asked } = await serve(300);
  const stream = ask(address, 5_000, 0);
  await once(stream, 'close');
  expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
  expect(asked.count).toBeLessThan(5);
});

test('one who reads has an answer to each', async () => {
  const { address, asked } = await serve(10_000);
  let heard = 0;
  const stream = ask(address, 5_000, 65_535).on('data', (piece: Buffer) => {
    heard += piece.length;
  });
  await once(stream, 'close');
  expect([asked.count, heard]).toEqual([5_000, 5_000 * 1_005]);
});
