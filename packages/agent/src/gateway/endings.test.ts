/** Requests that do not end as they should: who hears what was said last, and what the connection is good for after it. */
import type net from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GatewayBench, HOST } from './bench.fixture.ts';

let bench: GatewayBench;
beforeEach(async () => {
  bench = new GatewayBench();
  await bench.start({ responseMs: 300, idleMs: 5_000 });
});
afterEach(() => bench.close());

const head = (line: string, ...fields: string[]): string =>
  [`${line} HTTP/1.1`, `Host: ${HOST}`, ...fields, '', ''].join('\r\n');
const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket'];
/** More than the buffers of a connection hold. */
const BULK = 'x'.repeat(5_000_000);

/** Says it at the first byte, and closes with the rest unread: the kernel resets the connection behind it. */
const sayAndClose =
  (words: string) =>
  (socket: net.Socket): void => {
    socket.once('data', () => {
      socket.pause();
      socket.write(words, () => socket.destroy());
    });
  };

/** All that a client hears that sends these bytes whatever comes back; and how it ends. */
async function heard(bytes: string): Promise<string> {
  const client = await bench.connect();
  let end = 'in order';
  client.socket.on('error', ({ message }) => {
    end = message;
  });
  client.send(bytes);
  return `${await client.untilClosed()} ${end}`;
}

describe('the last words on a connection', () => {
  it.each([
    ['headers without end', `${head('GET /').slice(0, -2)}${`X-A: ${'a'.repeat(1_000)}\r\n`.repeat(5_000)}`, 431],
    ['a field that is none', `${head('GET /', 'none')}${BULK}`, 400],
    ['HTTP/2 in the clear', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${BULK}`, 400],
    ['CONNECT', `CONNECT ${HOST}:1 HTTP/1.1\r\nHost: ${HOST}:1\r\n\r\n${BULK}`, 405],
    ['a coding that is not known', `${head('POST /', 'Transfer-Encoding: gzip, chunked')}${BULK}`, 400],
    [
      'a body for nobody',
      `POST / HTTP/1.1\r\nHost: no\r\nConnection: close\r\nContent-Length: 9999999\r\n\r\n${BULK}`,
      404,
    ],
    ['an upgrade for nobody', `GET / HTTP/1.1\r\nHost: no\r\n${UPGRADE.join('\r\n')}\r\n\r\n${BULK}`, 404],
  ])('are heard by who still sends: %s', async (_name, bytes, status) => {
    expect(await heard(bytes)).toMatch(new RegExp(`^HTTP/1.1 ${status} .*available\\.\n in order$`, 's'));
  });

  const body = head('POST /', 'Connection: close', `Content-Length: ${BULK.length}`) + BULK;
  const chunked = `${head('POST /', 'Connection: close', 'Transfer-Encoding: chunked')}4c4b40\r\n${BULK}\r\n0\r\n\r\n`;
  it.each([
    ['413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig', / 413 .*\r\n\r\nbig in order$/s],
    ['408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n', / 408 .*\r\n\r\n in order$/s],
    ['401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n', / 401 .*\r\n\r\n.*no.* in order$/s],
  ])('of a service are heard by who uploads: %s', async (words, expected) => {
    await bench.serveRaw(sayAndClose(`HTTP/1.1 ${words}`));
    for (const upload of [body, chunked, `${head('GET /', ...UPGRADE)}${BULK}`])
      expect(await heard(upload)).toMatch(expected);
  });

  it('are that they are the last, where the rest of a body cannot be read', async () => {
    await bench.serve((request) => request.resume());
    const extended = `${head('POST /', 'Transfer-Encoding: chunked')}1;${'a'.repeat(20_000)}\r\nx\r\n${BULK}`;
    expect(await heard(extended)).toMatch(/ 413 .*\r\nConnection: close\r\n.*available\.\n in order$/s);
  });

  it('are 502 where a service closes without a word', async () => {
    await bench.serveRaw(sayAndClose(''));
    for (const upload of [body, chunked]) expect(await heard(upload)).toMatch(/ 502 .*available\.\n in order$/s);
  });
});

describe('a connection', () => {
  it('is good for the next request after an answer that is an error', async () => {
    const client = await bench.connect();
    const stranger = 'POST / HTTP/1.1\r\nHost: no\r\n';
    for (const rest of [
      'Content-Length: 5\r\n\r\nhello',
      'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    ]) {
      client.send(`${stranger}${rest}`);
      expect(await client.take('available.\n')).toContain(' 404 ');
    }
    client.send('HEAD / HTTP/1.1\r\nHost: no\r\n\r\n');
    expect(await client.take('\r\n\r\n')).toContain(' 404 ');
    await bench.serveRaw(sayAndClose(''));
    client.send(`${head('POST /', 'Content-Length: 5')}hello`);
    expect(await client.take('available.\n')).toContain(' 502 ');
    // A service that gives up before it is asked anything.
    await bench.serveRaw((socket) => socket.end('HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n'));
    client.send(head('GET /'));
    expect(await client.take('\r\n\r\n')).toContain(' 408 ');
    await bench.serve((_request, response) => response.end('fine'));
    client.send(head('GET /'));
    expect(await client.take('fine')).toContain(' 200 ');
  });

  it('outlives answers of HTTP/1.0 without a length', async () => {
    const words = 'HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it';
    await bench.serveRaw((socket) => socket.once('data', () => socket.end(words)));
    const client = await bench.connect();
    for (let time = 0; time < 2; time++) {
      client.send(head('GET /'));
      expect(await client.take('0\r\n\r\n')).toContain('\r\n\r\n9\r\nall of it\r\n');
    }
    expect(await bench.exchange(`GET / HTTP/1.0\r\nHost: ${HOST}\r\n\r\n`)).toMatch(/\r\n\r\nall of it$/);
  });
});

describe('a service that hangs', () => {
  it('after its headers is waited for', async () => {
    const words = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n';
    await bench.serveRaw((socket) => {
      socket.once('data', () => {
        socket.write(words);
        setTimeout(() => socket.write('at end'), 600);
      });
    });
    expect(await bench.exchange(head('GET /', 'Connection: close'))).toMatch(/^HTTP\/1.1 200 .*\r\n\r\nat end$/s);
  });

  it('after 100 is not, nor one that keeps it from a client that waits for it', async () => {
    const expecting = head('POST /', 'Expect: 100-continue', 'Content-Length: 1', 'Connection: close');
    await bench.serveRaw((socket) => socket.once('data', () => socket.write('HTTP/1.1 100 Continue\r\n\r\n')));
    expect(await bench.exchange(head('GET /', 'Connection: close'))).toMatch(/^HTTP\/1.1 504 /);
    expect(await bench.exchange(`${expecting}x`)).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 504 /);
    await bench.serveRaw((socket) => socket.resume());
    const asked = performance.now();
    const client = await bench.connect();
    client.send(expecting);
    expect(await client.take('\r\n\r\n')).toMatch(/^HTTP\/1.1 504 /);
    expect(performance.now() - asked).toBeLessThan(3_000);
  });

  it('says no 100, and takes a long body all the same, is not cut off in the middle of it', async () => {
    await bench.serveRaw((socket) =>
      socket.on('data', (bytes) => {
        if (bytes.includes('z')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      }),
    );
    const client = await bench.connect();
    client.send(`${head('POST /', 'Expect: 100-continue', 'Content-Length: 9', 'Connection: close')}a`);
    for (const letter of 'bcdefghz') {
      await new Promise((resolve) => setTimeout(resolve, 100));
      client.send(letter);
    }
    expect(await client.take('\r\n\r\n')).toMatch(/^HTTP\/1.1 200 /);
  });
});
