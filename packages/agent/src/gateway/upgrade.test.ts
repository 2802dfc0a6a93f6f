import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { GatewayBench, HOST } from './bench.fixture.ts';

let bench: GatewayBench;
beforeEach(async () => {
  bench = new GatewayBench();
  await bench.start();
});
afterEach(() => bench.close());

const upgradeRequest = (protocol: string, ...fields: string[]): string =>
  [`GET /up HTTP/1.1`, `Host: ${HOST}`, 'Connection: Upgrade', `Upgrade: ${protocol}`, ...fields, '', ''].join('\r\n');

/** A service that agrees to anything and echoes until the client ends. */
async function serveEcho(seen: string[] = []): Promise<void> {
  await bench.serveRaw((socket) => {
    socket.once('data', (head) => {
      seen.push(head.toString('latin1'));
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Mark: 1\r\n\r\nhello ',
      );
      socket.pipe(socket);
    });
  });
}

describe('upgrade', () => {
  it('carries WebSocket messages of every size both ways, and its close', async () => {
    const server = await bench.serve((_request, response) => response.writeHead(426).end());
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })));
    const client = new WebSocket(`ws://127.0.0.1:${bench.port}/chat`, { headers: { host: HOST } });
    await once(client, 'open');
    for (const size of [0, 1, 125, 126, 65_536, 1_000_000]) {
      const sent = Buffer.alloc(size, 'z');
      client.send(sent);
      const [received] = await once(client, 'message');
      expect(sent.equals(received as Buffer)).toBe(true);
    }
    client.close(4000, 'done');
    expect(await once(client, 'close')).toEqual([4000, Buffer.from('done')]);
    expect(bench.gateway.counters).toMatchObject({ requests: 1, upgrades: 1 });
    sockets.close();
  });

  it('passes any protocol as bytes, with half-close', async () => {
    const seen: string[] = [];
    await serveEcho(seen);
    const client = await bench.connect();
    client.send(`${upgradeRequest('echo/2', 'X-Forwarded-For: 192.0.2.66')}early `);
    expect(await client.take('early ')).toMatch(
      /^HTTP\/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Mark: 1\r\n\r\nhello early $/,
    );
    client.socket.end('last');
    expect(await client.untilClosed()).toBe('last');
    expect(seen[0]).toMatch(/^GET \/up HTTP\/1.1\r\n[\s\S]*Upgrade: echo\/2\r\n[\s\S]*Connection: Upgrade\r\n/);
    expect(seen[0]).toContain('X-Forwarded-For: 127.0.0.1\r\n');
    expect(seen[0]).not.toContain('192.0.2.66');
  });

  it('cuts the client when the flow is cut', async () => {
    await serveEcho();
    const { opened } = bench;
    const client = await bench.connect();
    client.send(upgradeRequest('echo'));
    await client.take('hello ');
    opened[0]?.destroy(new Error('cut'));
    expect(await client.untilClosed()).toBe('');
    expect(client.reset).toBe(true);
  });

  it('passes a service’s refusal on and ends the connection', async () => {
    const body = 'n'.repeat(500_000);
    await bench.serve((_request, response) => {
      response.writeHead(403, { 'x-why': 'no' });
      response.write(body.slice(0, 10));
      response.end(body.slice(10));
    });
    const client = await bench.connect();
    client.send(`${upgradeRequest('websocket')}GET /smuggled HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    const answer = await client.untilClosed();
    expect(answer).toMatch(/^HTTP\/1.1 403 Forbidden\r\nConnection: close\r\nx-why: no\r\n/);
    expect(answer.endsWith(`\r\n\r\n${body}`)).toBe(true);
    expect(bench.gateway.counters.requests).toBe(1);
  });

  it('answers for a service that is not there, or not known', async () => {
    expect(await bench.exchange(upgradeRequest('websocket'))).toMatch(/^HTTP\/1.1 503 [\s\S]*Not available.\n$/);
    bench.target = { opened: false, outcome: 'denied' };
    const denied = await bench.exchange(upgradeRequest('websocket'));
    expect(denied).toMatch(/^HTTP\/1.1 404 [\s\S]*Not available.\n$/);
    expect(await bench.exchange(upgradeRequest('websocket').replace(HOST, 'redis.internal'))).toBe(denied);
    expect(await bench.exchange(upgradeRequest('websocket').replace(HOST, 'a@b'))).toMatch(/^HTTP\/1.1 400 /);
  });

  it('takes h2c, a body or another method for an ordinary request', async () => {
    const seen: (string | undefined)[] = [];
    await bench.serve((request, response) => {
      seen.push(request.headers.upgrade, request.headers.connection);
      request.resume().on('end', () => response.end('plain'));
    });
    const close = 'Connection: close';
    expect(await bench.exchange(upgradeRequest('h2c', 'HTTP2-Settings: AAA', close))).toMatch(/200 OK[\s\S]*plain/);
    const post = upgradeRequest('websocket', 'Content-Length: 2', close).replace('GET', 'POST');
    expect(await bench.exchange(`${post}ab`)).toMatch(/200 OK[\s\S]*plain/);
    expect(await bench.exchange(`${upgradeRequest('websocket', 'Content-Length: 2', close)}ab`)).toMatch(
      /200 OK[\s\S]*plain/,
    );
    expect(new Set(seen)).toEqual(new Set([undefined, 'keep-alive']));
  });

  it('closes when an upgrade is sent ahead of an answer', async () => {
    await bench.serveRaw((socket) => socket.resume());
    const client = await bench.connect();
    client.send(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n${upgradeRequest('websocket')}`);
    expect(await client.untilClosed()).toBe('');
  });

  it('refuses a CONNECT that is sent ahead of an answer by closing, and not amid the answer', async () => {
    await bench.serveRaw((socket) => socket.resume());
    const client = await bench.connect();
    client.send(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\nCONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n`);
    expect(await client.untilClosed()).toBe('');
    expect(await bench.exchange('CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n')).toMatch(/^HTTP\/1.1 405 /);
  });

  it('holds no more than half of the places: who has been silent for longest makes room', async () => {
    await bench.restart({ connections: 16, connectionsOfOne: 16 });
    await serveEcho();
    const open = async () => {
      const client = await bench.connect();
      client.send(upgradeRequest('echo'));
      await client.take('hello ');
      return client;
    };
    const clients = [];
    // Of 16 places 14 are served in, and half of these may be upgraded.
    for (let count = 0; count < 7; count += 1) clients.push(await open());
    await open();
    expect(await clients[0]?.untilClosed()).toBe('');
    expect(bench.full).toBe(1);
    for (const client of clients.slice(1)) {
      client.send('still');
      await client.take('still');
    }
    await bench.serve((_request, response) => response.end('answered'));
    expect((await bench.call()).body).toBe('answered');
  });

  it('ends upgraded connections with the gateway', async () => {
    await serveEcho();
    const client = await bench.connect();
    client.send(upgradeRequest('echo'));
    await client.take('hello ');
    await bench.stop();
    expect(await client.untilClosed()).toBe('');
    expect(client.reset).toBe(true);
  });

  it('gives up on a service that declines and never ends what it says', async () => {
    await bench.restart({ idleMs: 100 });
    await bench.serveRaw((socket) =>
      socket.once('data', () => socket.write('HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nno')),
    );
    expect(await bench.exchange(upgradeRequest('websocket'))).toMatch(/^HTTP\/1.1 403 .*no$/s);
  });

  it('gives up on a service that never answers', async () => {
    await bench.restart({ idleMs: 50 });
    await bench.serveRaw((socket) => socket.resume());
    expect(await bench.exchange(upgradeRequest('websocket'))).toMatch(/^HTTP\/1.1 504 /);
  });
});
