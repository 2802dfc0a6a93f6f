import { once } from 'node:events';
import http from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GatewayBench, HOST, publicNetmap } from './bench.fixture.ts';
import { createGateway } from './server.ts';
import type { IngressOpened } from './types.ts';

const SMALL_BODY = 'Not available.\n';

let bench: GatewayBench;
beforeEach(async () => {
  bench = new GatewayBench();
  await bench.start();
});
afterEach(() => bench.close());

interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: string;
  readonly agent?: http.Agent;
}

async function call({ method = 'GET', path = '/', headers = {}, body, agent }: Call = {}) {
  const request = http.request({
    port: bench.port,
    host: '127.0.0.1',
    method,
    path,
    headers: { host: HOST, ...headers },
    agent: agent ?? false,
  });
  request.end(body);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  return { response, status: response.statusCode, body: await text(response) };
}

describe('gateway', () => {
  it('leads a public host to its web service’s public port and says who asks', async () => {
    await bench.serve((request, response) => response.end(JSON.stringify([request.url, request.headers])));
    const { status, body } = await call({
      path: '/a?b=c',
      headers: {
        host: 'SHOP.example.com.:8080',
        'x-forwarded-for': '192.0.2.66',
        'x-forwarded-proto': 'https',
        x_forwarded_host: 'evil.example',
        'x-real-ip': '192.0.2.66',
        forwarded: 'for=192.0.2.66',
        proxy: 'evil.example',
        connection: 'keep-alive, x-hop',
        'x-hop': 'mine',
        'proxy-authorization': 'Basic x',
        te: 'gzip, trailers',
        cookie: 'a=1',
      },
    });
    expect(status).toBe(200);
    const [path, headers] = JSON.parse(body);
    expect(path).toBe('/a?b=c');
    expect(headers).toEqual({
      host: 'SHOP.example.com.:8080',
      cookie: 'a=1',
      te: 'trailers',
      connection: 'keep-alive, TE',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'SHOP.example.com.:8080',
      forwarded: 'for=127.0.0.1;host="SHOP.example.com.:8080";proto=http',
    });
    expect(bench.openings).toEqual([{ service: 'web', port: 3000, clientAddress: '127.0.0.1' }]);
  });

  it('keeps both connections alive, one after the other', async () => {
    await bench.serve((_request, response) => response.end('x'));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let index = 0; index < 3; index++) expect((await call({ agent })).body).toBe('x');
    agent.destroy();
    expect(bench.openings).toHaveLength(1);
    expect(bench.gateway.counters).toMatchObject({ connections: 1, requests: 3 });
  });

  it('follows the netmap at the next request of a connection', async () => {
    await bench.serve((_request, response) => response.end('x'));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    expect((await call({ agent })).status).toBe(200);
    expect((await call({ agent, headers: { host: 'blog.example.com' } })).status).toBe(200);
    bench.netmap.swap(publicNetmap(['other.example.com']));
    expect((await call({ agent })).status).toBe(404);
    expect((await call({ agent, headers: { host: 'other.example.com' } })).status).toBe(200);
    agent.destroy();
    expect(bench.openings.map(({ service, port }) => [service, port])).toEqual([
      ['web', 3000],
      ['blog', 3001],
      ['web', 3000],
    ]);
  });

  it('tells nothing of what is inside: every unknown host is the same 404', async () => {
    const hosts = [
      'nowhere.example.com',
      'redis',
      'redis.internal',
      'mailer',
      'web',
      'web.internal',
      'forged.example.com',
      'undeclared.example.com',
      '127.0.0.1',
      '[::1]:80',
      'localhost',
    ];
    const answers = await Promise.all(
      hosts.map((host) => bench.exchange(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)),
    );
    bench.target = { opened: false, outcome: 'denied' };
    answers.push(await bench.exchange(`GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`));
    const withoutDate = answers.map((answer) => answer.replace(/Date: [^\r]*\r\n/, ''));
    expect(new Set(withoutDate).size).toBe(1);
    expect(withoutDate[0]).toBe(
      `HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 15\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n${SMALL_BODY}`,
    );
    expect(bench.openings).toHaveLength(1);
  });

  it.each<[IngressOpened | (() => Promise<IngressOpened>), number]>([
    [{ opened: false, outcome: 'no-instance' }, 503],
    [{ opened: false, outcome: 'overloaded' }, 503],
    [{ opened: false, outcome: 'not-listening' }, 502],
    [{ opened: false, outcome: 'unreachable' }, 502],
    [() => Promise.reject(new Error('no tunnel')), 502],
  ])('answers %o with %i', async (target, expected) => {
    bench.target = target;
    expect(await call({ method: 'POST', body: 'x' })).toMatchObject({ status: expected, body: SMALL_BODY });
    expect(bench.gateway.counters.failed).toBe(1);
  });

  it('answers 504 when no connection comes about, and drops one that comes later', async () => {
    await bench.close();
    bench = new GatewayBench();
    await bench.start({ openMs: 30 });
    let deliver: ((opened: IngressOpened) => void) | undefined;
    bench.target = () =>
      new Promise((resolve) => {
        deliver = resolve;
      });
    expect(await call()).toMatchObject({ status: 504, body: SMALL_BODY });
    const duplex = new Duplex({ destroy: (_error, callback) => callback(new Error('late')) });
    deliver?.({ opened: true, duplex });
    await expect.poll(() => duplex.destroyed).toBe(true);
  });

  it('answers 502 to what is no HTTP, and 504 to silence', async () => {
    await bench.serveRaw((socket) => socket.end('rubbish\r\n\r\n'));
    expect(await call()).toMatchObject({ status: 502, body: SMALL_BODY });
    await bench.serveRaw((socket) => socket.resume().destroy());
    expect(await call()).toMatchObject({ status: 502, body: SMALL_BODY });
    await bench.serveRaw((socket) =>
      socket.once('data', () => socket.write('HTTP/1.1 101 Odd\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')),
    );
    expect(await call()).toMatchObject({ status: 502, body: SMALL_BODY });
    await bench.serveRaw((socket) =>
      socket.once('data', () =>
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
      ),
    );
    expect(await call()).toMatchObject({ status: 502, body: SMALL_BODY });
    await bench.close();
    bench = new GatewayBench();
    await bench.start({ idleMs: 50 });
    await bench.serveRaw((socket) => socket.resume());
    expect(await call()).toMatchObject({ status: 504, body: SMALL_BODY });
  });

  it('answers a client that has closed its half, however late the answer is, and each request before that', async () => {
    await bench.serve((request, response) => {
      void text(request).then((body) => setTimeout(() => response.end(`${request.url}${body};`), 100));
    });
    const half = async (bytes: string) => {
      const client = await bench.connect();
      client.socket.end(bytes);
      return await client.untilClosed();
    };
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\n`;
    expect(await half(`${get('/a')}Connection: close\r\n\r\n`)).toMatch(/^HTTP\/1.1 200 .*\/a;/s);
    expect(await half(`${get('/b')}\r\n`)).toMatch(/^HTTP\/1.1 200 .*\/b;/s);
    expect(await half(`POST /c HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 2\r\n\r\nhi`)).toContain('/chi;');
    expect(await half(`GET /d HTTP/1.0\r\nHost: ${HOST}\r\n\r\n`)).toContain('/d;');
    expect((await half(`${get('/e')}\r\n${get('/f')}\r\n`)).match(/\/[ef];/g)).toEqual(['/e;', '/f;']);
    // Half a request is none.
    expect(await half(get('/g'))).toMatch(/^HTTP\/1.1 400 /);
  });

  it('answers 504 when no byte of an answer comes in time after the request was sent whole', async () => {
    await bench.close();
    bench = new GatewayBench();
    await bench.start({ responseMs: 150 });
    const gone: string[] = [];
    await bench.serve((request, response) => {
      response.on('close', () => gone.push(request.url ?? ''));
      if (request.url === '/silent') request.resume();
      else if (request.url === '/hints') {
        response.writeEarlyHints({ link: '</style.css>; rel=preload' });
        setTimeout(() => response.end('late'), 400);
      } else if (request.url === '/slow') {
        response.write('begun');
        setTimeout(() => response.end(' late'), 400);
      } else void text(request).then((body) => response.end(body));
    });
    expect(await call({ path: '/silent' })).toMatchObject({ status: 504, body: SMALL_BODY });
    await expect.poll(() => gone).toEqual(['/silent']);
    expect(await call({ path: '/silent', method: 'POST', body: 'x' })).toMatchObject({ status: 504 });
    const expecting = { expect: '100-continue', connection: 'close' };
    expect(
      await call({ path: '/silent', method: 'POST', body: 'x', headers: { host: HOST, ...expecting } }),
    ).toMatchObject({ status: 504 });
    expect(bench.gateway.counters.failed).toBe(3);
    // What has begun may take as long as it will, and so may a body on its way.
    expect(await call({ path: '/slow' })).toMatchObject({ status: 200, body: 'begun late' });
    expect(await call({ path: '/hints' })).toMatchObject({ status: 200, body: 'late' });
    const upload = await bench.connect();
    upload.send(`POST /upload HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 3\r\n\r\n`);
    for (const letter of 'abc') {
      await new Promise((resolve) => setTimeout(resolve, 120));
      upload.send(letter);
    }
    expect(await upload.take('abc')).toMatch(/^HTTP\/1.1 200 /);
  });

  it('gives a service the time that the mesh gives it', async () => {
    await bench.close();
    bench = new GatewayBench();
    await bench.start({ responseMs: 50, idleMs: 50 });
    bench.netmap.swap(publicNetmap([HOST], 1_000));
    await bench.serve((_request, response) => setTimeout(() => response.end('x'), 300));
    expect(await call()).toMatchObject({ status: 200, body: 'x' });
    expect(await call({ headers: { host: 'blog.example.com' } })).toMatchObject({ status: 504 });
  });

  it('streams both ways at once, without waiting for an end', async () => {
    await bench.serve((request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' });
      response.flushHeaders();
      request.pipe(response);
    });
    const client = await bench.connect();
    client.send(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n`);
    expect(await client.take('\r\n\r\n')).toMatch(/^HTTP\/1.1 200 OK\r\n[\s\S]*Transfer-Encoding: chunked/);
    client.send('5\r\nhello\r\n');
    expect(await client.take('hello\r\n')).toBe('5\r\nhello\r\n');
    client.send('5\r\nworld\r\n0\r\n\r\n');
    expect(await client.take('0\r\n\r\n')).toBe('5\r\nworld\r\n0\r\n\r\n');
  });

  it('stops the writer when the reader is slow', async () => {
    let sent = 0;
    await bench.serve((_request, response) => {
      const piece = Buffer.alloc(64 * 1024);
      const more = (): void => {
        while (!response.destroyed) {
          sent += piece.length;
          if (!response.write(piece)) break;
        }
      };
      response.on('drain', more);
      more();
    });
    const client = await bench.connect();
    client.socket.pause();
    client.send(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    let before = -1;
    // What fills are kernel buffers, so the sum stands still soon and far below what an unbounded queue would take.
    await expect
      .poll(
        () => {
          const still = sent === before && sent > 0;
          before = sent;
          return still;
        },
        { interval: 100, timeout: 5000 },
      )
      .toBe(true);
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });

  it('passes trailers both ways, but none that mean something else there', async () => {
    await bench.serve((request, response) => {
      response.writeHead(200, { trailer: 'x-sum' });
      request.resume().on('end', () => {
        response.write(JSON.stringify(request.trailers));
        response.addTrailers({ 'x-sum': 'abc' });
        response.end();
      });
    });
    const client = await bench.connect();
    client.send(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\nTrailer: X-In\r\n\r\n`);
    client.send('1\r\na\r\n0\r\nX-In: yes\r\nX-Forwarded-For: 192.0.2.66\r\nHost: redis\r\n\r\n');
    const head = await client.take('\r\n\r\n');
    expect(head).toContain('Trailer: x-sum\r\n');
    expect(await client.take('x-sum: abc\r\n\r\n')).toBe('e\r\n{"x-in":"yes"}\r\n0\r\nx-sum: abc\r\n\r\n');
  });

  it('passes 100, 102 and 103, and the expectation behind them', async () => {
    const server = await bench.serve(() => {});
    server.on('checkContinue', (request: http.IncomingMessage, response: http.ServerResponse) => {
      response.writeProcessing();
      response.writeEarlyHints({ link: '</a.css>; rel=preload' });
      response.writeContinue();
      request.pipe(response);
    });
    const client = await bench.connect();
    client.send(`PUT / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n`);
    expect(await client.take('HTTP/1.1 100 Continue\r\n\r\n')).toMatch(
      /102 Processing\r\n\r\nHTTP\/1.1 103 Early Hints\r\nLink:/,
    );
    client.send('ok');
    expect(await client.take('2\r\nok\r\n0\r\n\r\n')).toContain('200 OK');
  });

  it('lets a service decline a body before it is sent', async () => {
    const server = await bench.serve(() => {});
    server.on('checkContinue', (_request, response: http.ServerResponse) => response.writeHead(413).end('no'));
    const answer = await bench.exchange(
      `PUT / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 413 [\s\S]*Connection: close/);
    const odd = await bench.exchange(`GET / HTTP/1.1\r\nHost: ${HOST}\r\nExpect: tea\r\nConnection: close\r\n\r\n`);
    expect(odd).toMatch(/^HTTP\/1.1 417 /);
  });

  it('answers HEAD, 204 and 304 without a body and with their fields', async () => {
    await bench.serve((request, response) => {
      if (request.url === '/204') response.writeHead(204).end();
      else if (request.url === '/304') response.writeHead(304, { etag: '"a"' }).end();
      else
        response
          .writeHead(200, { 'content-length': 1000 })
          .end(request.method === 'HEAD' ? undefined : 'x'.repeat(1000));
    });
    const client = await bench.connect();
    client.send(`HEAD / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    client.send(`GET /304 HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    client.send(`GET /204 HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`);
    const heads = (await client.untilClosed()).split('\r\n\r\n');
    expect(heads.map((head) => head.split('\r\n')[0])).toEqual([
      'HTTP/1.1 200 OK',
      'HTTP/1.1 304 Not Modified',
      'HTTP/1.1 204 No Content',
      '',
    ]);
    expect(heads[0]).toContain('content-length: 1000');
  });

  it('answers requests sent ahead in their order, each after the one before', async () => {
    const running: string[] = [];
    await bench.serve((request, response) => {
      running.push(`+${request.url}`);
      setImmediate(() => {
        running.push(`-${request.url}`);
        response.end(request.url);
      });
    });
    const paths = ['/x1', '/x2', '/x3'];
    const last = paths.length - 1;
    const answer = await bench.exchange(
      paths
        .map(
          (path, index) =>
            `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\n${index === last ? 'Connection: close\r\n' : ''}\r\n`,
        )
        .join(''),
    );
    expect([...answer.matchAll(/\/x[123]/g)].map(String)).toEqual(paths);
    expect(running).toEqual(['+/x1', '-/x1', '+/x2', '-/x2', '+/x3', '-/x3']);
  });

  it('serves HTTP/1.0 and ends it by closing', async () => {
    await bench.serve((_request, response) => {
      response.write('a');
      response.end('b');
    });
    const answer = await bench.exchange(`GET / HTTP/1.0\r\nHost: ${HOST}\r\n\r\n`);
    expect(answer).not.toMatch(/transfer-encoding/i);
    expect(answer).toMatch(/\r\n\r\nab$/);
  });

  it('does not let a cut response pass for a whole one', async () => {
    await bench.serveRaw((socket) =>
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
        setImmediate(() => socket.resetAndDestroy());
      }),
    );
    const answer = await bench.exchange(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    expect(answer).not.toContain('0\r\n\r\n');
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

  it('repeats a request on a connection that the service had just closed, but never a body', async () => {
    let served = 0;
    // Each connection takes one request, says keep-alive, and resets at the second.
    await bench.serveRaw((socket) => {
      let first = true;
      socket.on('data', () => {
        if (!first) socket.resetAndDestroy();
        first = false;
        served++;
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx');
      });
    });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    expect((await call({ agent })).status).toBe(200);
    expect((await call({ agent })).status).toBe(200);
    expect(bench.openings).toHaveLength(2);
    expect((await call({ agent, method: 'POST', body: 'x' })).status).toBe(502);
    expect(bench.openings).toHaveLength(2);
    agent.destroy();
    expect(served).toBe(4);
  });

  it('takes no byte of an idle service for an answer', async () => {
    const sockets: Socket[] = [];
    await bench.serveRaw((socket) => {
      sockets.push(socket);
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx'));
    });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    expect((await call({ agent })).body).toBe('x');
    sockets[0]?.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
    await expect.poll(() => sockets[0]?.closed).toBe(true);
    expect((await call({ agent })).body).toBe('x');
    agent.destroy();
    expect(bench.openings).toHaveLength(2);
  });

  it('reads a body away that was answered early, and serves the next request', async () => {
    await bench.serve((_request, response) => response.writeHead(200, { 'content-length': 2 }).end('ok'));
    const client = await bench.connect();
    const body = 'b'.repeat(300_000);
    client.send(`POST / HTTP/1.1\r\nHost: nowhere.example\r\nContent-Length: ${body.length}\r\n\r\n`);
    expect(await client.take(SMALL_BODY)).toMatch(/^HTTP\/1.1 404/);
    client.send(`${body}GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    expect(await client.take('ok')).toMatch(/^HTTP\/1.1 200/);
  });

  it('ends everything with its signal', async () => {
    await bench.serveRaw((socket) => socket.resume());
    const [waiting, idle] = await Promise.all([bench.connect(), bench.connect()]);
    waiting.send(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    await expect.poll(() => bench.openings.length).toBe(1);
    await bench.stop();
    expect([await waiting.untilClosed(), await idle.untilClosed()]).toEqual(['', '']);
  });

  it('names a taken port', async () => {
    const options = {
      netmap: bench.netmap,
      open: () => Promise.reject(new Error('unused')),
      full: () => undefined,
      logger: pino({ level: 'silent' }),
    };
    const listen = { host: '127.0.0.1', port: bench.port };
    await expect(createGateway({ ...options, listen, signal: new AbortController().signal })).rejects.toMatchObject({
      code: 'gateway-port-taken',
    });
  });
});
