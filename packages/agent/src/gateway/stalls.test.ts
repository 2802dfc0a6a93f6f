/** Clients that hardly send what they announced, or do not take what they asked for. */
import { afterAll, describe, expect, it } from 'vitest';
import { until } from '../until.fixture.ts';
import { GatewayBench, HOST, type RawClient, SMALL_BODY } from './bench.fixture.ts';

const repeating: NodeJS.Timeout[] = [];
const benches: GatewayBench[] = [];
afterAll(async () => {
  for (const timer of repeating) clearInterval(timer);
  await Promise.all(benches.map((bench) => bench.close()));
});

/** Each test has its own: most of them wait, and so wait together. */
async function opened(): Promise<GatewayBench> {
  const bench = new GatewayBench();
  benches.push(bench);
  await bench.start({ bodyMs: 400, stallMs: 800, untakenMs: 800, responseMs: 10_000 });
  return bench;
}

const head = (...fields: string[]): string => [`POST / HTTP/1.1`, `Host: ${HOST}`, ...fields, '', ''].join('\r\n');
const CHUNKED = 'Transfer-Encoding: chunked';

async function sending(bench: GatewayBench, first: string, piece = '', everyMs = 0): Promise<RawClient> {
  const client = await bench.connect();
  client.send(first);
  if (piece !== '') repeating.push(setInterval(() => client.send(piece), everyMs));
  return client;
}

describe('a body', () => {
  it.concurrent.each([
    ['that stops', head('Content-Length: 9'), '', 0],
    ['of a byte at a time', head('Content-Length: 999'), 'x', 50],
    ['of a chunk at a time', head(CHUNKED), '1\r\nx\r\n', 50],
  ])('%s is ended with 408 and not held, though there is room', async (_which, first, piece, everyMs) => {
    const bench = await opened();
    const gone = new Promise((resolve) => {
      void bench.serve((request) => request.resume().on('close', resolve));
    });
    await until(() => typeof bench.target === 'number');
    const client = await sending(bench, first, piece, everyMs);
    expect(await client.untilClosed()).toMatch(
      new RegExp(`^HTTP/1.1 408 .*\r\nConnection: close\r\n.*${SMALL_BODY}$`, 's'),
    );
    await gone;
    expect(bench.gateway.counters.refused).toBe(1);
  });

  it.concurrent('that stops once the service has said 100 is ended too', async () => {
    const bench = await opened();
    const server = await bench.serve(() => {});
    server.on('checkContinue', (request, response) => {
      response.writeContinue();
      request.resume();
    });
    const client = await sending(bench, head('Content-Length: 9', 'Expect: 100-continue'));
    expect(await client.untilClosed()).toMatch(/^HTTP\/1.1 100 .*HTTP\/1.1 408 /s);
  });

  // By itself: what the others do would hold up what it sends in time.
  it('that comes may take as long as it will, and so may one that the service does not take', async () => {
    const bench = await opened();
    await bench.serve((request, response) => {
      if (request.headers['x-late'] === undefined) request.resume().on('end', () => response.end('taken'));
      else setTimeout(() => request.resume().on('end', () => response.end('taken')), 1_800);
    });
    const steady = await sending(bench, head('Content-Length: 4000'), 'y'.repeat(100), 30);
    const late = await sending(bench, head('Content-Length: 20000000', 'X-Late: 1') + 'z'.repeat(20_000_000));
    expect(await late.take('taken')).toMatch(/^HTTP\/1.1 200 /);
    expect(await steady.take('taken')).toMatch(/^HTTP\/1.1 200 /);
  });
});

describe('an answer', () => {
  it.concurrent.each([
    ['', 'Connection: close'],
    ['declined ', 'Connection: Upgrade\r\nUpgrade: websocket'],
  ])('%sthat its client does not take is ended', async (_which, field) => {
    const bench = await opened();
    await bench.serve((_request, response) => response.end(Buffer.alloc(30_000_000)));
    const client = await bench.connect();
    client.socket.pause();
    client.send(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n${field}\r\n\r\n`);
    await until(() => bench.gateway.counters.requests === 1);
    await new Promise((resolve) => setTimeout(resolve, 2_400));
    client.socket.resume();
    expect((await client.untilClosed()).length).toBeLessThan(30_000_000);
  });

  it.concurrent('that its client takes, or that pauses at the service, goes on', async () => {
    const bench = await opened();
    await bench.serve((_request, response) => {
      response.write('begun');
      setTimeout(() => response.end(' and over'), 2_000);
    });
    expect(await bench.call()).toMatchObject({ status: 200, body: 'begun and over' });
  });
});
