import { once } from 'node:events';
import { type ClientHttp2Stream, connect } from 'node:http2';
import { status } from '@grpc/grpc-js';
import { adminService, bearerMetadata, callUnary } from '@weft/proto/wire';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AdminBench, READ_TOKEN, redis, startAdmin } from './admin.fixture.ts';
import { ANSWERS, AnswerPlaces } from './answer-places.ts';
import { framed } from './raw-call.fixture.ts';

let bench: AdminBench;
beforeAll(async () => {
  bench = await startAdmin();
  await bench.ask(adminService.apply, { mesh: { network: 'prod', services: [redis] } });
});
afterAll(() => bench.close());

/** A client that takes no byte of an answer. */
function unreading() {
  const session = connect(`https://${bench.address}`, {
    rejectUnauthorized: false,
    settings: { initialWindowSize: 0 },
  });
  session.on('error', () => undefined);
  const { path, requestSerialize } = adminService.getMesh;
  const message = framed(requestSerialize({ network: 'prod', asFile: true }));
  const head = {
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    authorization: `Bearer ${READ_TOKEN}`,
  };
  const ask = (count: number): ClientHttp2Stream[] =>
    Array.from({ length: count }, () => {
      const stream = session.request(head);
      stream.on('error', () => undefined).resume();
      stream.end(message);
      return stream;
    });
  /** Resolves when all that was sent has been read there. */
  const heard = (): Promise<void> =>
    new Promise((resolve, reject) => {
      session.ping((error) => (error === null ? resolve() : reject(error)));
    });
  return { session, ask, heard };
}

/** Of each, when it comes: the status of one that is refused, undefined of one that is answered. */
async function headOf(streams: readonly ClientHttp2Stream[]): Promise<unknown[]> {
  const heads = await Promise.all(streams.map((stream) => once(stream, 'response')));
  return heads.map(([headers]) => headers['grpc-status']);
}

test('whoever reads no answer holds places of the read token, and no more of them than there are', async () => {
  // A connection has at most 256 calls at once.
  const [one, two] = [unreading(), unreading()];
  const { read } = ANSWERS.most;
  expect(await headOf(one.ask(read))).toEqual(Array(read).fill(undefined));
  for (const { ask, heard } of [one, two]) {
    ask(ANSWERS.waiting.read / 2);
    await heard();
  }
  expect(await headOf(two.ask(20))).toEqual(Array(20).fill(`${status.RESOURCE_EXHAUSTED}`));
  // Who acts is served meanwhile, and who only sees is told why it is not.
  await expect(bench.ask(adminService.getMesh, { network: 'prod' })).resolves.toMatchObject({});
  const metadata = bearerMetadata(READ_TOKEN);
  const seen = () => callUnary(bench.client, adminService.getMesh, { network: 'prod' }, { metadata });
  await expect(seen()).rejects.toMatchObject({ details: expect.stringContaining('with the read token') });
  for (const { session } of [one, two]) session.destroy();
  await expect.poll(() => seen().then(() => 'served', String), { timeout: 20_000 }).toBe('served');
});

test('calls of who only sees are taken up one a turn of the loop, and of who acts at once', async () => {
  const places = new AnswerPlaces();
  let turn = 0;
  const count = (): void => {
    turn += 1;
    if (turn < 100) setImmediate(count);
  };
  setImmediate(count);
  const { signal } = new AbortController();
  const begun = (role: 'admin' | 'read') => places.within(role, {}, signal, async () => turn);
  const [seen, acted] = await Promise.all(
    (['read', 'admin'] as const).map((role) => Promise.all(Array.from({ length: 10 }, () => begun(role)))),
  );
  expect(new Set(seen).size).toBe(10);
  expect(acted).toEqual(Array(10).fill(0));
});

test('one that waits and is given up leaves its place in the line', async () => {
  const places = new AnswerPlaces();
  const end = Promise.withResolvers<void>();
  const live = new AbortController();
  const held = Array.from({ length: ANSWERS.most.admin }, () =>
    places.within('admin', {}, live.signal, () => end.promise),
  );
  const gone = new AbortController();
  const waits = places.within('admin', {}, gone.signal, () => Promise.reject(new Error('was served')));
  gone.abort(new Error('went away'));
  await expect(waits).rejects.toThrow('went away');
  end.resolve();
  await Promise.all(held);
  await expect(places.within('admin', {}, live.signal, async () => 'served')).resolves.toBe('served');
});
