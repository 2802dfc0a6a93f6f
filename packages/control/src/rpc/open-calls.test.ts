import { once } from 'node:events';
import { constants } from 'node:http2';
import type { ServerWritableStream } from '@grpc/grpc-js';
import { afterEach, expect, test, vi } from 'vitest';
import { openCalls } from './open-calls.ts';
import { framed, RawCalls, rawMethod } from './raw-call.fixture.ts';

const calls = new RawCalls();
afterEach(() => calls.close());

const PATH = '/grpc.health.v1.Health/Watch';
/** Watches that last until their caller ends them. */
async function serve(bounds: { most: number; mostOfOne: number }) {
  const watching: ServerWritableStream<Buffer, Buffer>[] = [];
  const watch = (call: ServerWritableStream<Buffer, Buffer>) => {
    call.write(Buffer.of(8, 1));
    watching.push(call);
  };
  const service = { watch: rawMethod(PATH, false, true) };
  return { address: await calls.serve(service, { watch }, [openCalls(bounds)]), watching };
}

function open(address: string) {
  const stream = calls.open(address, PATH, framed(Buffer.of()));
  stream.end();
  return stream;
}

test('an address has so many calls open and no more, and another when one has ended', async () => {
  const { address, watching } = await serve({ most: 100, mostOfOne: 3 });
  const mine = [1, 2, 3].map(() => open(address));
  await vi.waitFor(() => expect(watching).toHaveLength(3));
  const [head] = (await once(open(address), 'response')) as [Record<string, string>];
  expect(head['grpc-status']).toBe('8');
  mine[0]?.close(constants.NGHTTP2_CANCEL);
  await vi.waitFor(async () => {
    const [again] = (await once(open(address), 'response')) as [Record<string, string>];
    expect(again['grpc-status']).toBeUndefined();
  });
});

test('the oldest makes room when there are too many in all', async () => {
  const { address, watching } = await serve({ most: 3, mostOfOne: 100 });
  const [first, ...others] = [1, 2, 3].map(() => open(address));
  await vi.waitFor(() => expect(watching).toHaveLength(3));
  open(address);
  await once(first ?? open(address), 'close');
  expect(first?.rstCode).toBe(constants.NGHTTP2_CANCEL);
  await vi.waitFor(() => expect(watching).toHaveLength(4));
  expect(others.map(({ closed }) => closed)).toEqual([false, false]);
});
