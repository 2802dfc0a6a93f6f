/** Clients that hardly send what they announced, or do not take what they asked for. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GatewayBench, HOST, type RawClient, SMALL_BODY } from './bench.fixture.ts';

let bench: GatewayBench;
const repeating: NodeJS.Timeout[] = [];
beforeEach(async () => {
  bench = new GatewayBench();
  await bench.start({ bodyMs: 400, stallMs: 800, untakenMs: 800, responseMs: 10_000 });
});
afterEach(async () => {
  for (const timer of repeating.splice(0)) clearInterval(timer);
  await bench.close();
});

const head = (...fields: string[]): string => [`POST / HTTP/1.1`, `Host: ${HOST}`, ...fields, '', ''].join('\r\n');
const CHUNKED = 'Transfer-Encoding: chunked';

async function sending(first: string, piece: string, everyMs: number): Promise<RawClient> {
  const client = await bench.connect();
  client.send(first);
  if (piece !== '') repeating.push(setInterval(() => client.send(piece), everyMs));
  return client;
}

describe('a body', () => {
  it.each([
    ['that stops', head('Content-Length: 9'), '', 0],
    ['of a byte at a time', head('Content-Length: 999'), 'x', 50],
    ['of a chunk at a time', head(CHUNKED), '1\r\nx\r\n', 50],
  ])('%s is ended with 408 and not held, though there is room', async (_which, first, piece, everyMs) => {
    const gone = new Promise((resolve) => {
      void bench.serve((request) => request.resume().on('close', resolve));
    });
    await expect.poll(() => typeof bench.target).toBe('number');
    const client = await sending(first, piece, everyMs);
    expect(await client.untilClosed()).toMatch(new RegExp(`^HTTP/1.1 408 .*${SMALL_BODY}$`, 's'));
    await gone;
    expect(bench.gateway.counters.refused).toBe(1);
  });

  it('that stops once the service has said 100 is ended too', async () => {
    const server = await bench.serve(() => {});
    server.on('checkContinue', (request, response) => {
      response.writeContinue();
      request.resume();
    });
    const client = await sending(head('Content-Length: 9', 'Expect: 100-continue'), '', 0);
    expect(await client.untilClosed()).toMatch(/^HTTP\/1.1 100 .*HTTP\/1.1 408 /s);
  });

  it('that comes may take as long as it will, and so may one that the service does not take', async () => {
    await bench.serve((request, response) => {
      if (request.headers['x-late'] === undefined) request.resume().on('end', () => response.end('taken'));
      else setTimeout(() => request.resume().on('end', () => response.end('taken')), 1_800);
    });
    const steady = await sending(head('Content-Length: 4000'), 'y'.repeat(100), 30);
    const late = await sending(head('Content-Length: 20000000', 'X-Late: 1') + 'z'.repeat(20_000_000), '', 0);
    expect(await late.take('taken')).toMatch(/^HTTP\/1.1 200 /);
    expect(await steady.take('taken')).toMatch(/^HTTP\/1.1 200 /);
  });
});

describe('an answer', () => {
  const serveBulk = () => bench.serve((_request, response) => response.end(Buffer.alloc(30_000_000)));

  it.each([
    ['', 'Connection: close'],
    ['declined ', 'Connection: Upgrade\r\nUpgrade: websocket'],
  ])('%sthat its client does not take is ended', async (_which, field) => {
    await serveBulk();
    const client = await bench.connect();
    client.socket.pause();
    client.send(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n${field}\r\n\r\n`);
    await expect.poll(() => bench.gateway.counters.requests).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 2_400));
    client.socket.resume();
    expect((await client.untilClosed()).length).toBeLessThan(30_000_000);
  });

  it('that its client takes, or that pauses at the service, goes on', async () => {
    await bench.serve((_request, response) => {
      response.write('begun');
      setTimeout(() => response.end(' and over'), 2_000);
    });
    expect(await bench.call()).toMatchObject({ status: 200, body: 'begun and over' });
  });
});
