/** What a client is told when no answer comes of its request, and when. */
import { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GatewayBench, HOST, publicNetmap, SMALL_BODY } from './bench.fixture.ts';
import type { IngressOpened } from './types.ts';

let bench: GatewayBench;
beforeEach(async () => {
  bench = new GatewayBench();
  await bench.start();
});
afterEach(() => bench.close());

describe('a request without an answer', () => {
  it.each<[IngressOpened | (() => Promise<IngressOpened>), number]>([
    [{ opened: false, outcome: 'no-instance' }, 503],
    [{ opened: false, outcome: 'overloaded' }, 503],
    [{ opened: false, outcome: 'not-listening' }, 502],
    [{ opened: false, outcome: 'unreachable' }, 502],
    [() => Promise.reject(new Error('no tunnel')), 502],
  ])('answers %o with %i', async (target, expected) => {
    bench.target = target;
    expect(await bench.call({ method: 'POST', body: 'x' })).toMatchObject({ status: expected, body: SMALL_BODY });
    expect(bench.gateway.counters.failed).toBe(1);
  });

  it('answers 504 when no connection comes about, and drops one that comes later', async () => {
    await bench.restart({ openMs: 30 });
    let deliver: ((opened: IngressOpened) => void) | undefined;
    bench.target = () =>
      new Promise((resolve) => {
        deliver = resolve;
      });
    expect(await bench.call()).toMatchObject({ status: 504, body: SMALL_BODY });
    const duplex = new Duplex({ destroy: (_error, callback) => callback(new Error('late')) });
    deliver?.({ opened: true, duplex });
    await expect.poll(() => duplex.destroyed).toBe(true);
  });

  it('answers 502 to what is no HTTP, and 504 to silence', async () => {
    await bench.serveRaw((socket) => socket.end('rubbish\r\n\r\n'));
    expect(await bench.call()).toMatchObject({ status: 502, body: SMALL_BODY });
    await bench.serveRaw((socket) => socket.resume().destroy());
    expect(await bench.call()).toMatchObject({ status: 502, body: SMALL_BODY });
    await bench.serveRaw((socket) =>
      socket.once('data', () => socket.write('HTTP/1.1 101 Odd\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')),
    );
    expect(await bench.call()).toMatchObject({ status: 502, body: SMALL_BODY });
    await bench.serveRaw((socket) =>
      socket.once('data', () =>
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
      ),
    );
    expect(await bench.call()).toMatchObject({ status: 502, body: SMALL_BODY });
    await bench.restart({ idleMs: 50 });
    await bench.serveRaw((socket) => socket.resume());
    expect(await bench.call()).toMatchObject({ status: 504, body: SMALL_BODY });
  });

  it('answers 504 when no byte of an answer comes in time after the request was sent whole', async () => {
    await bench.restart({ responseMs: 150 });
    const gone: string[] = [];
    await bench.serve((request, response) => {
      response.on('close', () => gone.push(request.url ?? ''));
      if (request.url === '/silent') request.resume();
      else if (request.url === '/hints') {
        response.writeEarlyHints({ link: '</style.css>; rel=preload' });
        setTimeout(() => response.writeProcessing(), 100);
        setTimeout(() => response.end('late'), 200);
      } else if (request.url === '/only-hints') {
        response.writeProcessing();
        response.writeEarlyHints({ link: '</style.css>; rel=preload' });
      } else if (request.url === '/slow') {
        response.write('begun');
        setTimeout(() => response.end(' late'), 400);
      } else void text(request).then((body) => response.end(body));
    });
    expect(await bench.call({ path: '/silent' })).toMatchObject({ status: 504, body: SMALL_BODY });
    await expect.poll(() => gone).toEqual(['/silent']);
    expect(await bench.call({ path: '/silent', method: 'POST', body: 'x' })).toMatchObject({ status: 504 });
    const expecting = { expect: '100-continue', connection: 'close' };
    expect(
      await bench.call({ path: '/silent', method: 'POST', body: 'x', headers: { host: HOST, ...expecting } }),
    ).toMatchObject({ status: 504 });
    expect(await bench.call({ path: '/only-hints' })).toMatchObject({ status: 504 });
    expect(bench.gateway.counters.failed).toBe(4);
    // What has begun may take as long as it will, and so may a body on its way.
    expect(await bench.call({ path: '/slow' })).toMatchObject({ status: 200, body: 'begun late' });
    expect(await bench.call({ path: '/hints' })).toMatchObject({ status: 200, body: 'late' });
    const upload = await bench.connect();
    upload.send(`POST /upload HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 3\r\n\r\n`);
    for (const letter of 'abc') {
      await new Promise((resolve) => setTimeout(resolve, 120));
      upload.send(letter);
    }
    expect(await upload.take('abc')).toMatch(/^HTTP\/1.1 200 /);
  });

  it('gives a service the time that the mesh gives it', async () => {
    await bench.restart({ responseMs: 50, idleMs: 50 });
    bench.netmap.swap(publicNetmap([HOST], 1_000));
    await bench.serve((_request, response) => setTimeout(() => response.end('x'), 300));
    expect(await bench.call()).toMatchObject({ status: 200, body: 'x' });
    expect(await bench.call({ headers: { host: 'blog.example.com' } })).toMatchObject({ status: 504 });
  });

  describe('does not let a cut response pass for a whole one', () => {
    const get = `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;
    const CHUNK = 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n';
    it.each([
      ['in chunks', CHUNK, get, 'in order'],
      ['in chunks to one who knows none', CHUNK, get.replace('1.1', '1.0'), 'ECONNRESET'],
      ['of no length', '\r\nabc', get, 'in order'],
      ['of no length to one who knows no chunks', '\r\nabc', get.replace('1.1', '1.0'), 'ECONNRESET'],
      [
        'of no length to one who would upgrade',
        '\r\nabc',
        get.replace('Host', 'Connection: Upgrade\r\nUpgrade: x\r\nHost'),
        'ECONNRESET',
      ],
    ])('%s', async (_which, words, request, end) => {
      await bench.serveRaw((socket) =>
        socket.once('data', () => {
          socket.write(`HTTP/1.1 200 OK\r\n${words}`);
          setTimeout(() => socket.resetAndDestroy(), 50);
        }),
      );
      const client = await bench.connect();
      let ended = 'in order';
      client.socket.on('error', ({ code }: NodeJS.ErrnoException) => {
        ended = code ?? '';
      });
      client.send(request);
      const answer = await client.untilClosed();
      expect(answer).toContain('abc');
      expect(answer).not.toContain('0\r\n\r\n');
      expect(ended).toBe(end);
    });
  });

  it('lets one without a length end with its connection', async () => {
    await bench.serveRaw((socket) => socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\nabc')));
    expect(await bench.call()).toMatchObject({ status: 200, body: 'abc' });
    expect(await bench.exchange(`GET / HTTP/1.0\r\nHost: ${HOST}\r\n\r\n`)).toMatch(/\r\n\r\nabc$/);
  });

  it('takes of an answer that is longer than it says what it says, and nothing of the rest for the next', async () => {
    let answers = 0;
    await bench.serveRaw((socket) =>
      socket.on('data', () => {
        answers++;
        socket.write(
          `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n#${answers}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmore`,
        );
      }),
    );
    const client = await bench.connect();
    for (const expected of ['#1', '#2']) {
      client.send(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
      expect(await client.take(expected)).toMatch(/^HTTP\/1.1 200 /);
    }
    expect(client.received).toBe('');
    await bench.serveRaw((socket) =>
      socket.on('data', () => socket.write('HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc')),
    );
    const { response, body } = await bench.call();
    expect([response.statusCode, response.headers['content-length'], body]).toEqual([204, undefined, '']);
  });

  it('ends the service’s side when the client goes away', async () => {
    const gone = new Promise<void>((resolve) => {
      void bench.serve((request, response) => {
        response.write('a');
        request.on('close', resolve);
      });
    });
    await expect.poll(() => typeof bench.target).toBe('number');
    const client = await bench.connect();
    client.send(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 10\r\n\r\nab`);
    await client.take('\r\n\r\n');
    client.socket.destroy();
    await gone;
  });
});
