/** Whom a request is led to, and over which connection. */
import http from 'node:http';
import type { Socket } from 'node:net';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GatewayBench, HOST, publicNetmap, SMALL_BODY } from './bench.fixture.ts';
import { createGateway } from './server.ts';

let bench: GatewayBench;
beforeEach(async () => {
  bench = new GatewayBench();
  await bench.start();
});
afterEach(() => bench.close());

describe('gateway', () => {
  it('leads a public host to its web service’s public port and says who asks', async () => {
    await bench.serve((request, response) => response.end(JSON.stringify([request.url, request.headers])));
    const { status, body } = await bench.call({
      path: '/a?b=c',
      headers: {
        host: 'SHOP.example.com.:8080',
        'x-forwarded-for': '192.0.2.66',
        'x-forwarded-proto': 'https',
        x_forwarded_host: 'evil.example',
        'x.forwarded.for': '192.0.2.66',
        'x!real~ip': '192.0.2.66',
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
    for (let index = 0; index < 3; index++) expect((await bench.call({ agent })).body).toBe('x');
    agent.destroy();
    expect(bench.openings).toHaveLength(1);
    expect(bench.gateway.counters).toMatchObject({ connections: 1, requests: 3 });
  });

  it('follows the netmap at the next request of a connection', async () => {
    await bench.serve((_request, response) => response.end('x'));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    expect((await bench.call({ agent })).status).toBe(200);
    expect((await bench.call({ agent, headers: { host: 'blog.example.com' } })).status).toBe(200);
    bench.netmap.swap(publicNetmap(['other.example.com']));
    expect((await bench.call({ agent })).status).toBe(404);
    expect((await bench.call({ agent, headers: { host: 'other.example.com' } })).status).toBe(200);
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
    expect((await bench.call({ agent })).status).toBe(200);
    expect((await bench.call({ agent })).status).toBe(200);
    expect(bench.openings).toHaveLength(2);
    expect((await bench.call({ agent, method: 'POST', body: 'x' })).status).toBe(502);
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
    expect((await bench.call({ agent })).body).toBe('x');
    sockets[0]?.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
    await expect.poll(() => sockets[0]?.closed).toBe(true);
    expect((await bench.call({ agent })).body).toBe('x');
    agent.destroy();
    expect(bench.openings).toHaveLength(2);
  });

  it('ends everything with its signal', async () => {
    await bench.serveRaw((socket) => {
      socket.once('data', (head) => {
        if (head.includes('/part')) socket.write('HTTP/1.1 200 OK\r\n\r\npart');
      });
    });
    const [waiting, idle, amid] = await Promise.all([bench.connect(), bench.connect(), bench.connect()]);
    waiting.send(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    // Is told no length, so that an end in order would be that of a whole answer.
    amid.send(`GET /part HTTP/1.0\r\nHost: ${HOST}\r\n\r\n`);
    await amid.take('part');
    await expect.poll(() => bench.openings.length).toBe(2);
    await bench.stop();
    expect([await waiting.untilClosed(), await idle.untilClosed(), await amid.untilClosed()]).toEqual(['', '', '']);
    expect([waiting.reset, idle.reset, amid.reset]).toEqual([false, false, true]);
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
      code: 'taken',
      message: expect.stringContaining('choose another with gateway.http'),
    });
  });
});
