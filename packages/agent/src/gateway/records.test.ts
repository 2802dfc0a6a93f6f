/** How the flow behind a request ends: what its record says. */
import type net from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Deadline } from '../bytes/deadline.ts';
import { connectSocket } from '../bytes/socket.ts';
import type { Conduit } from '../words/conduit.ts';
import { GatewayBench, HOST } from './bench.fixture.ts';
import { ConduitDuplex } from './duplex.ts';

let bench: GatewayBench;
const endings: string[] = [];
beforeEach(async () => {
  endings.length = 0;
  bench = new GatewayBench();
  await bench.start();
});
afterEach(() => bench.close());

/** Notes in `endings` how the conduit ended. */
function noted(inner: Conduit): Conduit {
  return {
    attach: (events) =>
      inner.attach({
        data: (piece, owned) => events.data(piece, owned),
        end: () => events.end(),
        drain: () => events.drain(),
        closed: (how, cause) => {
          endings.push(how);
          events.closed(how, cause);
        },
      }),
    write: (piece, owned) => inner.write(piece, owned),
    end: () => inner.end(),
    reset: () => inner.reset(),
    resetWhenWritten: () => inner.resetWhenWritten(),
    pause: () => inner.pause(),
    resume: () => inner.resume(),
  };
}

/** A service of these connections, how whose flows end is noted. */
async function serve(handler: (socket: net.Socket) => void): Promise<void> {
  await bench.serveRaw(handler);
  const port = Number(bench.target);
  bench.target = async () => {
    const { conduit } = await connectSocket({ host: '127.0.0.1', port, deadline: new Deadline(1_000) });
    return { opened: true, duplex: new ConduitDuplex(noted(conduit), ({ message }) => endings.push(message)) };
  };
}

const request = (head: string, ...rest: string[]): string =>
  [`${head} HTTP/1.1`, `Host: ${HOST}`, ...rest].join('\r\n');
const GET = request('GET /', '', '');
const CLOSING = request('GET /', 'Connection: close', '', '');
const UPGRADE = request('GET /', 'Connection: Upgrade', 'Upgrade: websocket', '', '');

it.each([
  ['with its answer', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nwhole'],
  ['to end its answer', 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwhole'],
  ['to end its answer, as HTTP/1.0 does', 'HTTP/1.0 200 OK\r\n\r\nwhole'],
  ['and said nothing of that', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole'],
])('is closed where the service closes %s', async (_what, words) => {
  await serve((socket) => void socket.once('data', () => socket.end(words)));
  for (const asked of [GET, CLOSING, UPGRADE]) {
    const client = await bench.connect();
    client.send(asked);
    expect(await client.take('whole')).toContain(' 200 ');
    await expect.poll(() => endings.splice(0)).toEqual(['closed']);
  }
});

it.each([GET, CLOSING, UPGRADE])('says that the service closed without an answer: %j', async (asked) => {
  await serve((socket) => void socket.once('data', () => socket.end()));
  const client = await bench.connect();
  client.send(asked);
  expect(await client.take('available.\n')).toContain(' 502 ');
  await expect.poll(() => endings).toEqual(['no connection to the service: hung-up', 'reset']);
});

it.each([GET, CLOSING, UPGRADE])('says that the service answered what is no HTTP: %j', async (asked) => {
  await serve((socket) => void socket.once('data', () => socket.write('rubbish\r\n\r\n')));
  const client = await bench.connect();
  client.send(asked);
  expect(await client.take('available.\n')).toContain(' 502 ');
  await expect.poll(() => endings).toEqual(['no connection to the service: garbled', 'reset']);
});

it.each([GET, CLOSING, UPGRADE])('says that the service answered in a coding that is not undone: %j', async (asked) => {
  for (const codings of ['gzip, chunked', 'gzip', 'chunked\r\nTransfer-Encoding: gzip, chunked', 'chunked, identity']) {
    const answer = `HTTP/1.1 200 OK\r\nTransfer-Encoding: ${codings}\r\n\r\n2\r\nhi\r\n0\r\n\r\n`;
    await serve((socket) => void socket.once('data', () => socket.write(answer)));
    const client = await bench.connect();
    client.send(asked);
    expect(await client.take('available.\n')).toContain(' 502 ');
    await expect.poll(() => endings.splice(0)).toEqual(['no connection to the service: coded', 'reset']);
  }
});

it.each([GET, CLOSING, UPGRADE])('is passed an answer in the coding that is none: %j', async (asked) => {
  for (const [codings, body] of [
    ['identity', 'whole'],
    ['Identity, chunked', '5\r\nwhole\r\n0\r\n\r\n'],
  ]) {
    const answer = `HTTP/1.1 200 OK\r\nTransfer-Encoding: ${codings}\r\nConnection: close\r\n\r\n${body}`;
    await serve((socket) => void socket.once('data', () => socket.end(answer)));
    const client = await bench.connect();
    client.send(asked);
    expect(await client.take('whole')).toContain(' 200 ');
    await expect.poll(() => endings.splice(0)).toEqual(['closed']);
  }
});

it('is passed an answer that has no body, whatever coding it names', async () => {
  const coded = 'Transfer-Encoding: gzip, chunked\r\n\r\n';
  for (const [asked, status] of [
    [GET.replace('GET', 'HEAD'), '200 OK'],
    [GET, '204 No Content'],
    [GET, '304 Not Modified'],
    [UPGRADE, '304 Not Modified'],
  ] as const) {
    await serve((socket) => void socket.once('data', () => socket.end(`HTTP/1.1 ${status}\r\n${coded}`)));
    const client = await bench.connect();
    client.send(asked);
    expect(await client.take('\r\n\r\n')).toContain(` ${status}\r\n`);
    await expect.poll(() => endings.splice(0)).toEqual(['closed']);
  }
});
