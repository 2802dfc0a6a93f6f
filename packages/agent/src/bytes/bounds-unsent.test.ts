import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Deadline } from './deadline.ts';
import { setNative } from './inside/known.ts';
import { findNative } from './inside/native-calls.ts';
import { connectSocket, type SocketConduit } from './socket.ts';
import { listenConduits } from './socket-listen.ts';

/** Bytes that the kernel has of connections to that port and from it, and that the far end has not confirmed: proc_pid_net(5), tx_queue. */
function unconfirmed(port: number): readonly number[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const lines = readFileSync('/proc/self/net/tcp', 'latin1').split('\n');
  const connected = lines.map((line) => line.trim().split(/\s+/)).filter(([, , , state]) => state === '01');
  return connected
    .filter(([, local = '', remote = '']) => local.endsWith(`:${hex}`) || remote.endsWith(`:${hex}`))
    .map(([, , , , queues = '']) => Number.parseInt(queues.split(':')[0] ?? '', 16));
}

const native = findNative();
const PIECE = Buffer.alloc(64 * 1024);

test.skipIf(typeof native === 'string')(
  'little waits unsent in the kernel where that is bounded, at both ends',
  async () => {
    setNative(native);
    const deadline = new Deadline(10_000);
    const accepted = Promise.withResolvers<SocketConduit>();
    const listening = await listenConduits({ host: '127.0.0.1', port: 0, boundsUnsent: true }, accepted.resolve);
    const [server, far] = [net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1'), new net.Socket()];
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const { conduit } = await connectSocket({ host: '127.0.0.1', port, deadline, boundsUnsent: true });
    far.connect(listening.port, '127.0.0.1').pause();
    const other = await accepted.promise;
    // More than the kernel takes without a bound, where the far end reads nothing.
    for (const one of [conduit, other]) for (let piece = 0; piece < 512; piece++) one.write(PIECE, false);
    await sleep(500);
    for (const [unread] of [unconfirmed(port), unconfirmed(listening.port)].map((all) => all.toSorted((a, b) => b - a)))
      expect(unread).toBeLessThan(1024 * 1024);
    deadline.close();
    conduit.reset();
    other.reset();
    far.destroy();
    server.close();
    listening.close();
  },
);
