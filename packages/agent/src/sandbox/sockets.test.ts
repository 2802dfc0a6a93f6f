import { createSocket } from 'node:dgram';
import { type EventEmitter, errorMonitor, once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { expect, test } from 'vitest';
import { datagramHandleOf } from '../bytes/inside/datagram-output.ts';
import { socketOf } from './listeners.ts';
import { SandboxSockets } from './sockets.ts';

async function listening(): Promise<{ readonly handle: object; readonly isOpen: () => boolean }> {
  const server: Server & { _handle?: { readonly fd: number } & object } = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const handle = server._handle;
  if (handle === undefined) throw new Error('it has no handle');
  return { handle, isOpen: () => handle.fd >= 0 };
}

test('a socket of another sort than was asked for is closed, and is no answer', async () => {
  const said: string[] = [];
  const sockets = new SandboxSockets({
    uid: 0,
    pid: 1,
    say: (line) => said.push(line),
    greet: () => {},
    close: () => {},
  });
  const asked = sockets.ask({ where: 'agent', kind: 'udp', host: '192.0.0.1', port: 53 });
  expect(said).toEqual(['socket 1 agent udp 192.0.0.1 53']);
  const stream = await listening();
  expect(stream.isOpen()).toBe(true);
  sockets.came(1, stream.handle);
  await expect(asked).rejects.toMatchObject({ code: 'EPROTOTYPE' });
  expect(stream.isOpen()).toBe(false);
});

test('a socket that nobody asked for is closed', async () => {
  const sockets = new SandboxSockets({ uid: 0, pid: 1, say: () => {}, greet: () => {}, close: () => {} });
  const stream = await listening();
  sockets.came(7, stream.handle);
  expect(stream.isOpen()).toBe(false);
});

test('one that is as asked for is the answer', async () => {
  const sockets = new SandboxSockets({ uid: 0, pid: 1, say: () => {}, greet: () => {}, close: () => {} });
  const asked = sockets.ask({ where: 'agent', kind: 'tcp-listen', host: '0.0.0.0', port: 80 });
  const { handle } = await listening();
  sockets.came(1, handle);
  expect(await asked).toBe(handle);
});

test('a UDP socket that fails before anybody takes it, as who handed it over can make it, ends nothing', async () => {
  const [far, made] = [createSocket('udp4'), createSocket('udp4')];
  for (const socket of [far, made]) {
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
  }
  const handle = datagramHandleOf(made);
  if (handle === undefined) throw new Error('it has no handle');
  (handle as unknown as { recvStop(): void }).recvStop();
  const socket = await socketOf(handle);
  const failed = new Promise((resolve) => (socket as EventEmitter).on(errorMonitor, resolve));
  const { port } = far.address();
  far.close();
  await once(far, 'close');
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.send('to nobody');
  expect(await failed).toMatchObject({ code: 'ECONNREFUSED' });
  socket.close();
});
