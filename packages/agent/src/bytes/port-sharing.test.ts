import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { defined } from '@weft/proto';
import { afterEach, describe, expect, it } from 'vitest';
import { assertFreeDatagramPort } from './port-sharing.ts';
import type { SocketConduit } from './socket.ts';
import { type ConduitListener, listenConduits } from './socket-listen.ts';

const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const step of cleanup.splice(0)) step();
});

const reset = (conduit: SocketConduit) => conduit.reset();

async function listening(
  share: 'first' | 'join' | undefined,
  port: number,
  onConnection: (conduit: SocketConduit) => void = reset,
): Promise<ConduitListener> {
  const listener = await listenConduits({ host: '127.0.0.1', port, ...defined({ share }) }, onConnection);
  cleanup.push(() => listener.close());
  return listener;
}

describe('a TCP port of several threads', () => {
  it('spreads connections among those that listen', async () => {
    const taken = [0, 0, 0];
    const count = (thread: number) => (conduit: SocketConduit) => {
      taken[thread] = (taken[thread] ?? 0) + 1;
      conduit.reset();
    };
    const { port } = await listening('first', 0, count(0));
    for (const thread of [1, 2]) await listening('join', port, count(thread));
    for (let calls = 0; calls < 60; calls++) {
      const socket = net.connect(port, '127.0.0.1').on('error', () => {});
      await new Promise<void>((closed) => socket.once('close', () => closed()));
    }
    expect(taken.reduce((sum, calls) => sum + calls)).toBe(60);
    expect(taken.every((calls) => calls > 0)).toBe(true);
  });

  it.each(['first', undefined] as const)(
    'is not had by another that would be %s, while it is shared',
    async (share) => {
      const { port } = await listening('first', 0);
      await listening('join', port);
      await expect(listening(share, port)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    },
  );

  it('is not shared with one who holds it alone', async () => {
    const { port } = await listening(undefined, 0);
    await expect(listening('first', port)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await expect(listening('join', port)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});

describe('a UDP port of several threads', () => {
  it('is seen to be taken, also by those who share it', async () => {
    const socket = dgram.createSocket({ type: 'udp4', reusePort: true });
    cleanup.push(() => void socket.close());
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address();
    await expect(assertFreeDatagramPort('udp4', '127.0.0.1', port)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await assertFreeDatagramPort('udp4', '127.0.0.2', port);
  });
});
