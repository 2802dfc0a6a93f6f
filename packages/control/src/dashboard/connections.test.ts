import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { boundConnections } from '@weft/proto/bounds';
import { expect, test } from 'vitest';
import { CONNECTIONS } from './connections.ts';
import { TestDashboard } from './dashboard.fixture.ts';

class Connection extends EventEmitter {
  readonly remoteAddress: string;
  destroyed = false;

  constructor(remoteAddress: string) {
    super();
    this.remoteAddress = remoteAddress;
  }

  setTimeout(): void {}

  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

function setUp() {
  const server = createServer();
  server.removeAllListeners('connection').removeAllListeners('request');
  boundConnections(server, CONNECTIONS);
  const come = (address: string): Connection => {
    const connection = new Connection(address);
    server.emit('connection', connection as unknown as Socket);
    return connection;
  };
  /** A request of the connection begins; what it answers with ends it. */
  const ask = (socket: Connection): (() => void) => {
    const response = new EventEmitter();
    server.emit('request', { socket, headers: {} }, response);
    return () => void response.emit('close');
  };
  /** One with a body; what it answers with is called when that has come. */
  const post = (socket: Connection): (() => void) => {
    const request = Object.assign(new EventEmitter(), { socket, headers: { 'content-length': '900' } });
    server.emit('request', request, new EventEmitter());
    return () => void request.emit('end');
  };
  return { come, ask, post };
}

test('an address, or a /64, has so many connections that are served and no more; loopback has as many as there are', () => {
  const { come, ask } = setUp();
  for (const [one, other] of [
    ['10.0.0.9', '::ffff:10.0.0.9'],
    ['2001:db8:1:1::1', '2001:db8:1:1::2'],
  ] as const) {
    const all = Array.from({ length: CONNECTIONS.mostOfOne }, (_, index) => come(index % 2 === 0 ? one : other));
    all.forEach(ask);
    expect(all.some(({ destroyed }) => destroyed)).toBe(false);
    expect(come(one).destroyed).toBe(true);
    // One that was turned away frees nothing.
    expect(come(other).destroyed).toBe(true);
    all[0]?.destroy();
    ask(come(one));
    expect(come(one).destroyed).toBe(true);
  }
  expect(come('10.0.0.10').destroyed).toBe(false);
  for (let count = 0; count < 100; count += 1) expect(come('127.0.0.1').destroyed).toBe(false);
});

test('who asks nothing makes room for who comes', () => {
  const { come, ask } = setUp();
  const silent = Array.from({ length: CONNECTIONS.most }, (_, index) => come(`10.0.${index}.1`));
  const [first, second] = silent;
  const answered = first === undefined ? () => undefined : ask(first);
  const newcomers = Array.from({ length: CONNECTIONS.most - 1 }, (_, index) => come(`10.1.${index}.1`));
  expect([first?.destroyed, second?.destroyed, silent.at(-1)?.destroyed]).toEqual([false, true, true]);
  expect(newcomers.some(({ destroyed }) => destroyed)).toBe(false);
  answered();
  for (const connection of newcomers) ask(connection);
  expect(come('10.2.0.1').destroyed).toBe(false);
  expect(first?.destroyed).toBe(true);
});

test('who sends a request and not its end makes room as who asks nothing', () => {
  const { come, post } = setUp();
  const half = Array.from({ length: CONNECTIONS.most }, (_, index) => come(`10.0.${index}.1`));
  const [first] = half.map(post);
  first?.();
  const newcomers = Array.from({ length: CONNECTIONS.most - 1 }, (_, index) => come(`10.1.${index}.1`));
  expect(newcomers.some(({ destroyed }) => destroyed)).toBe(false);
  expect(half.map(({ destroyed }) => destroyed)).toEqual(half.map((_, index) => index > 0));
});

test('a connection that asks no more is told that it is let go soon', async () => {
  await using dashboard = await TestDashboard.start();
  const [host, port] = dashboard.address.split(':');
  const socket = connect(Number(port), host);
  socket.write(`GET /healthz HTTP/1.1\r\nHost: ${dashboard.address}\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(String(answer)).toMatch(/^keep-alive: timeout=5\r$/im);
  socket.destroy();
});
