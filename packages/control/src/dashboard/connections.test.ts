import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { boundConnections, MOST_OF_ONE_ADDRESS } from './connections.ts';
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

test('an address has so many connections and no more; loopback has as many as there are places', () => {
  const server = createServer();
  server.removeAllListeners('connection');
  boundConnections(server);
  const come = (address: string): Connection => {
    const connection = new Connection(address);
    server.emit('connection', connection as unknown as Socket);
    return connection;
  };
  const all = Array.from({ length: MOST_OF_ONE_ADDRESS }, (_, index) =>
    come(index % 2 === 0 ? '10.0.0.9' : '::ffff:10.0.0.9'),
  );
  expect(all.some(({ destroyed }) => destroyed)).toBe(false);
  expect(come('10.0.0.9').destroyed).toBe(true);
  // One that was turned away frees nothing.
  expect(come('10.0.0.9').destroyed).toBe(true);
  expect(come('10.0.0.10').destroyed).toBe(false);
  for (let count = 0; count < 100; count += 1) expect(come('127.0.0.1').destroyed).toBe(false);
  all[0]?.destroy();
  expect(come('10.0.0.9').destroyed).toBe(false);
  expect(come('10.0.0.9').destroyed).toBe(true);
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
