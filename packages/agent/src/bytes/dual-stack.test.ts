import net from 'node:net';
import { expect, it } from 'vitest';
import { dualStackHost } from './dual-stack.ts';

function failing(code: string): () => net.Server {
  return () => {
    const server = new net.Server();
    server.listen = () => {
      queueMicrotask(() => server.emit('error', Object.assign(new Error(code), { code })));
      return server;
    };
    return server;
  };
}

it.each([
  ['::', 'EAFNOSUPPORT', '0.0.0.0'],
  ['::', 'EADDRNOTAVAIL', '0.0.0.0'],
  ['::', 'EMFILE', '::'],
  ['2001:db8::1', 'EAFNOSUPPORT', '2001:db8::1'],
  ['0.0.0.0', 'EAFNOSUPPORT', '0.0.0.0'],
])('%s where the system answers %s is %s', async (host, code, expected) => {
  expect(await dualStackHost(host, failing(code))).toBe(expected);
});
