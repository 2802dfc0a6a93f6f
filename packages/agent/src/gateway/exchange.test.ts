/** Requests and answers as they pass: bodies, trailers, what is said before the answer, and one after the other. */
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GatewayBench, HOST, SMALL_BODY } from './bench.fixture.ts';

let bench: GatewayBench;
beforeEach(async () => {
  bench = new GatewayBench();
  await bench.start();
});
afterEach(() => bench.close());

describe('an exchange', () => {
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

  it('leaves nothing behind on a connection to a service that is used again', async () => {
    await bench.serve((_request, response) => response.end('answered'));
    const { opened } = bench;
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const listeners = async (): Promise<number[]> => {
      expect((await bench.call({ agent })).body).toBe('answered');
      const [duplex] = opened;
      return ['error', 'data', 'end', 'close'].map((event) => duplex?.listenerCount(event) ?? -1);
    };
    await listeners();
    const second = await listeners();
    for (let count = 0; count < 20; count += 1) await listeners();
    expect(await listeners()).toEqual(second);
    expect(opened).toHaveLength(1);
    agent.destroy();
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

  it('reads a body away that was answered early, and serves the next request', async () => {
    await bench.serve((_request, response) => response.writeHead(200, { 'content-length': 2 }).end('ok'));
    const client = await bench.connect();
    const body = 'b'.repeat(300_000);
    client.send(`POST / HTTP/1.1\r\nHost: nowhere.example\r\nContent-Length: ${body.length}\r\n\r\n`);
    expect(await client.take(SMALL_BODY)).toMatch(/^HTTP\/1.1 404/);
    client.send(`${body}GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    expect(await client.take('ok')).toMatch(/^HTTP\/1.1 200/);
  });
});
