import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GatewayBench, HOST } from './bench.fixture.ts';

const SMALL_BODY = 'Not available.\n';

let bench: GatewayBench;
let reached: string[];
beforeEach(async () => {
  reached = [];
  bench = new GatewayBench();
  await bench.start({ headerBytes: 4096 });
  await bench.serve((request, response) => {
    reached.push(`${request.method} ${request.url}`);
    request.resume().on('end', () => response.end('inside'));
  });
});
afterEach(() => bench.close());

/** A request line and fields, blank line added. */
const message = (...lines: string[]): string => `${lines.join('\r\n')}\r\n\r\n`;
const host = `Host: ${HOST}`;

describe('hostile requests', () => {
  it.each<[string, string, number]>([
    ['no Host', message('GET / HTTP/1.1'), 400],
    ['no Host in 1.0', message('GET / HTTP/1.0'), 400],
    ['an empty Host', message('GET / HTTP/1.1', 'Host:'), 400],
    ['two Hosts', message('GET / HTTP/1.1', host, 'Host: redis'), 400],
    ['two Hosts alike', message('GET / HTTP/1.1', host, host), 400],
    [
      'a second Host far behind',
      message('GET / HTTP/1.1', host, ...Array.from({ length: 600 }, () => 'a:'), 'hOsT: redis'),
      400,
    ],
    ['a list of Hosts', message('GET / HTTP/1.1', `${host}, redis`), 400],
    ['userinfo in Host', message('GET / HTTP/1.1', `Host: redis@${HOST}`), 400],
    ['a folded Host', message('GET / HTTP/1.1', `${host}\r\n redis`), 400],
    ['a space before the colon', message('GET / HTTP/1.1', host, 'Host : redis'), 400],
    ['a target that disagrees', message('GET http://redis/ HTTP/1.1', host), 400],
    ['a target of another scheme', message(`GET https://${HOST}/ HTTP/1.1`, host), 400],
    ['a fragment in the target', message('GET /#a HTTP/1.1', host), 400],
    ['a target that is no path', message('GET redis HTTP/1.1', host), 400],
    ['both lengths', message('POST / HTTP/1.1', host, 'Content-Length: 4', 'Transfer-Encoding: chunked'), 400],
    [
      'both lengths, turned round',
      message('POST / HTTP/1.1', host, 'Transfer-Encoding: chunked', 'Content-Length: 4'),
      400,
    ],
    ['two lengths', message('POST / HTTP/1.1', host, 'Content-Length: 4', 'Content-Length: 5'), 400],
    ['two lengths alike', message('POST / HTTP/1.1', host, 'Content-Length: 4', 'Content-Length: 4'), 400],
    ['a list of lengths', message('POST / HTTP/1.1', host, 'Content-Length: 4, 4'), 400],
    ['a signed length', message('POST / HTTP/1.1', host, 'Content-Length: +4'), 400],
    ['two codings', message('POST / HTTP/1.1', host, 'Transfer-Encoding: gzip, chunked'), 400],
    [
      'a coding in two fields',
      message('POST / HTTP/1.1', host, 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'),
      400,
    ],
    ['an unknown coding', message('POST / HTTP/1.1', host, 'Transfer-Encoding: xchunked'), 400],
    ['chunks in 1.0', message('POST / HTTP/1.0', host, 'Transfer-Encoding: chunked'), 400],
    ['a space in a field name', message('POST / HTTP/1.1', host, 'Transfer Encoding: chunked'), 400],
    ['bare line feeds', `GET / HTTP/1.1\n${host}\n\n`, 400],
    ['a NUL in a field', message('GET / HTTP/1.1', host, 'X: a\u0000b'), 400],
    ['an unknown version', message('GET / HTTP/3.0', host), 400],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['no HTTP', '\u0016\u0003\u0001\u0002\u0000', 400],
    ['CONNECT', message('CONNECT redis:6379 HTTP/1.1', host), 405],
    ['TRACE', message('TRACE / HTTP/1.1', host, 'Connection: close'), 405],
    ['long headers', message('GET / HTTP/1.1', host, `X: ${'x'.repeat(8000)}`), 431],
  ])('%s', async (_name, bytes, status) => {
    const answer = await bench.exchange(bytes);
    expect(answer.split('\r\n')[0]).toBe(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}`);
    expect(answer.endsWith(`\r\n\r\n${SMALL_BODY}`)).toBe(true);
    expect(reached).toEqual([]);
    expect(bench.openings).toEqual([]);
    expect(bench.gateway.counters.refused).toBe(1);
  });

  it('lets who hardly sends make room when it is full, and nobody else', async () => {
    await bench.restart({ connections: 8, connectionsOfOne: 8, bodyMs: 300 });
    await bench.serve((request, response) => {
      if (request.method === 'GET') response.end('here');
      else request.resume().on('end', () => response.end('taken'));
    });
    const head = (length: number) => `POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: ${length}\r\n\r\n`;
    const dripping = await Promise.all(Array.from({ length: 6 }, () => bench.connect()));
    for (const client of dripping) client.send(`${head(900)}x`);
    const quick = await bench.connect();
    quick.send(head(100_000));
    const sending = setInterval(() => quick.send('y'.repeat(1_000)), 20);
    await expect.poll(() => bench.openings.length).toBe(7);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(await bench.call()).toMatchObject({ status: 503 });
    for (const client of dripping) expect(await client.untilClosed()).toMatch(/^HTTP\/1.1 408 /);
    expect(await bench.call()).toMatchObject({ status: 200, body: 'here' });
    expect(await quick.take('taken')).toMatch(/^HTTP\/1.1 200 /);
    clearInterval(sending);
  });

  it('lets nothing of a malformed body through as a request, and answers it with 400', async () => {
    const smuggled = message('GET /smuggled HTTP/1.1', host);
    const whole: string[] = [];
    await bench.serve((request, response) => {
      reached.push(`${request.method} ${request.url}`);
      request.resume().on('end', () => {
        whole.push(request.url ?? '');
        // That of the other is owed for as long as its client is there.
        if (request.url !== '/first') response.end('whole');
      });
      request.on('error', () => {});
    });
    for (const begins of [
      '1x\r\n',
      'zz\r\n',
      `${'F'.repeat(17)}\r\n`,
      '2\nhi\n',
      '2\r\nhi0\r\n\r\n',
      '2\r\nhi\r\n\r\n',
    ]) {
      const client = await bench.connect();
      client.send(message('POST / HTTP/1.1', host, 'Transfer-Encoding: chunked'));
      client.send(`${begins}${smuggled}`);
      expect({ begins, answer: await client.untilClosed() }).toEqual({
        begins,
        answer: expect.stringMatching(/^HTTP\/1\.1 400 .*available\.\n$/s),
      });
    }
    // The one before it was well formed, and is not answered for it.
    const client = await bench.connect();
    client.send(
      `${message('POST /first HTTP/1.1', host, 'Content-Length: 2')}hi${message('POST / HTTP/1.1', host, 'Transfer-Encoding: chunked')}zz\r\n`,
    );
    expect(await client.untilClosed()).toBe('');
    expect(reached.filter((request) => request.includes('smuggled'))).toEqual([]);
    expect(whole.filter((url) => url !== '/first')).toEqual([]);
  });

  it('passes a body on by the framing it was read by', async () => {
    const smuggled = message('GET /smuggled HTTP/1.1', host);
    const answer = await bench.exchange(
      message('POST /a HTTP/1.1', host, `Content-Length: ${smuggled.length}`, 'Connection: close, Content-Length') +
        smuggled,
    );
    expect(answer).toMatch(/200 OK[\s\S]*inside/);
    expect(reached).toEqual(['POST /a']);
  });

  it('accepts an absolute target that agrees, and asks the service for its path', async () => {
    await bench.exchange(message(`GET http://${HOST.toUpperCase()}:80/a?b HTTP/1.1`, host, 'Connection: close'));
    await bench.exchange(message('OPTIONS * HTTP/1.1', host, 'Connection: close'));
    expect(reached).toEqual(['GET /a?b', 'OPTIONS *']);
  });

  it('sends 408 to who does not finish its headers', async () => {
    await bench.restart({ headerMs: 50 });
    expect(await bench.exchange(`GET / HTTP/1.1\r\n${host}\r\n`)).toMatch(/^HTTP\/1.1 408 /);
    expect(await bench.exchange('')).toMatch(/^HTTP\/1.1 408 /);
  });

  it('holds a bounded number of connections that it serves, and of requests sent ahead', async () => {
    await bench.restart({ connections: 2 });
    await bench.serveRaw((socket) => socket.resume());
    const [first, second] = await Promise.all([bench.connect(), bench.connect()]);
    for (const client of [first, second]) client?.send(message('GET / HTTP/1.1', host));
    await expect.poll(() => bench.openings.length).toBe(2);
    expect(bench.full).toBe(0);
    expect(await bench.exchange(message('GET / HTTP/1.1', host))).toBe('');
    expect([bench.openings.length, bench.full]).toEqual([2, 1]);
    first?.send(message('GET / HTTP/1.1', host).repeat(40));
    expect(await first?.untilClosed()).toBe('');
    expect(bench.openings).toHaveLength(2);
  });

  it('reads a newcomer’s request while an eighth of the places is free, and answers 503', async () => {
    await bench.close();
    bench = new GatewayBench();
    await bench.start({ connections: 16 });
    await bench.serve((_request, response) => void response.write('begun'));
    const ask = async () => {
      const client = await bench.connect();
      client.send(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
      return { client, head: await client.take('\r\n') };
    };
    for (let count = 0; count < 14; count++) expect((await ask()).head).toContain('200');
    const { client, head } = await ask();
    expect([head, bench.full]).toEqual(['HTTP/1.1 503 Service Unavailable\r\n', 1]);
    // Nor does who was refused keep its place from those who come.
    for (let count = 0; count < 3; count++) expect((await ask()).head).toContain('503');
    expect(await client.untilClosed()).toContain(SMALL_BODY);
    expect(bench.openings).toHaveLength(14);
  });

  it('lets those who were answered, or ask nothing, make room for who comes', async () => {
    await bench.restart({ connections: 3 });
    const held = [await bench.connect(), await bench.connect(), await bench.connect()];
    held[1]?.send(message('GET / HTTP/1.1', 'Host: nobody.example.com'));
    await expect.poll(() => held[1]?.received ?? '').toMatch(/^HTTP\/1.1 404 /);
    // Who has just come has half a second to ask.
    await sleep(600);
    // First those of which nothing was heard, then the one that had its answer.
    for (const gone of [held[0], held[2], held[1]]) {
      const newcomer = await bench.connect();
      await gone?.untilClosed();
      newcomer.send(message('GET / HTTP/1.1', 'Host: nobody.example.com'));
      await expect.poll(() => newcomer.received).toMatch(/^HTTP\/1.1 404 /);
    }
  });
});
