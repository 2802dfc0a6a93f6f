import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { boundConnections } from './bound-connections.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

test('who does not take its answer makes room at a server where all are served, and nobody else', async () => {
  const server = createServer((request, response) => {
    if (request.url === '/bulk') response.end(Buffer.alloc(20_000_000));
    else if (request.url === '/stream') response.write('begun');
    else response.end('here');
  });
  boundConnections(server, { most: 3, mostOfOne: 3 }, 100);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;
  const ask = (path: string): Socket => {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    closers.push(() => socket.destroy());
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    return socket;
  };
  const streaming = ask('/stream');
  await once(streaming, 'data');
  for (const stuck of [ask('/bulk'), ask('/bulk')]) {
    await once(stuck, 'data');
    stuck.pause();
  }
  // They may read on, for all that is known yet; on a busy machine it is known already, and then this one is answered.
  await once(ask('/').resume(), 'close');
  // Once it is known that they do not, which a busy machine finds later.
  const answered = async (): Promise<Buffer | undefined> => {
    const socket = ask('/');
    return (await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => [])]))[0] as Buffer | undefined;
  };
  let answer = await answered();
  for (; answer === undefined; answer = await answered()) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(String(answer)).toMatch(/^HTTP\/1.1 200 /);
  expect(streaming.closed).toBe(false);
});
