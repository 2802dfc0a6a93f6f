import { once } from 'node:events';
import type { open } from 'node:fs/promises';
import net from 'node:net';
import { networkInterfaces } from 'node:os';
import { expect, it } from 'vitest';
import { networkAddress, textAddress } from '../owner/kernel-form.ts';
import { type Listener, ListenerTable, parseListeners, readListenerTable } from './listener-table.ts';

const TCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 501 1 00000000e2e42e89 100 0 0 10 0
   1: 00000000:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 502 1 00000000e2e42e89 100 0 0 10 0
  garbage
   2: 0100007F:18EB 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 503 1 00000000e2e42e89 20 4 30 10 -1
   3: 0100007F:18EC 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 504 1 00000000e2e42e89 100 0 0 10 0
`;
const TCP6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:1538 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   2: 0000000000000000FFFF00000100007F:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   3: B80D0120000000000000000001000000:1F92 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
`;
const UDP = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  101: 0100007F:1FBD 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0
  102: 0100007F:C001 0100007F:1FBD 01 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0
  103: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0
`;

it('reads IPv4 listeners, and stops where the connections begin', () => {
  expect(parseListeners(TCP, 'tcp')).toEqual({
    listeners: [
      { protocol: 'tcp', address: '127.0.0.1', port: 6379, uid: 0 },
      { protocol: 'tcp', address: '0.0.0.0', port: 3000, uid: 33 },
    ],
    complete: false,
  });
});

it('reads IPv6 listeners, the mapped ones as the IPv4 addresses that they are', () => {
  expect(parseListeners(TCP6, 'tcp').listeners.map(({ address, port }) => `${address} ${port}`)).toEqual([
    '::1 5432',
    ':: 8080',
    '127.0.0.1 8081',
    '2001:db8:0:0:0:0:0:1 8082',
  ]);
});

it('reads UDP sockets that take from anybody', () => {
  const { listeners, complete } = parseListeners(UDP, 'udp');
  expect(listeners.map(({ address, port }) => `${address} ${port}`)).toEqual(['127.0.0.1 8125', '0.0.0.0 53']);
  expect(complete).toBe(true);
});

it('answers what a connection would find', () => {
  const parsed = [...parseListeners(TCP, 'tcp').listeners, ...parseListeners(TCP6, 'tcp').listeners];
  const table = new ListenerTable(parsed);
  expect(table.answers('tcp', '127.0.0.1', 6379)).toBe(true);
  expect(table.answers('tcp', '127.0.0.2', 6379)).toBe(false);
  expect(table.answers('tcp', '::1', 6379)).toBe(false);
  expect(table.answers('tcp', '127.80.0.1', 3000)).toBe(true);
  expect(table.answers('tcp', '::1', 3000)).toBe(false);
  expect(table.answers('tcp', '127.0.0.1', 8080)).toBe(true);
  expect(table.answers('udp', '127.0.0.1', 8080)).toBe(false);
  expect(table.hasWildcard('tcp', 8080)).toBe(true);
  expect(table.hasWildcard('tcp', 6379)).toBe(false);
});

it('tells by which users a connection is taken: those on the address itself, else those on every one', () => {
  const tcp = (address: string, uid: number) => ({ protocol: 'tcp', address, port: 1, uid }) as const;
  const all = [tcp('127.0.0.1', 1), tcp('127.0.0.1', 2), tcp('0.0.0.0', 3), tcp('::', 4)];
  const users = (host: string, listeners = all) => new ListenerTable(listeners).users('tcp', host, 1);
  expect(users('127.0.0.1')).toEqual([1, 2]);
  expect(users('127.0.0.2')).toEqual([3]);
  expect(users('::1')).toEqual([4]);
  expect(users('127.0.0.1', all.slice(3))).toEqual([4]);
  expect(new ListenerTable(all.slice(3)).withSixOnly(['1/tcp']).users('tcp', '127.0.0.1', 1)).toEqual([]);
  expect(new ListenerTable(all).users('udp', '127.0.0.1', 1)).toEqual([]);
});

it('tells by a mark whether the places beyond loopback are the same, in whatever order they come', () => {
  const at = (address: string, port: number, uid = 1): Listener => ({ protocol: 'udp', address, port, uid });
  const many = Array.from({ length: 5_000 }, (_, port) => at('0.0.0.0', port));
  const mark = (...listeners: readonly Listener[]) => new ListenerTable(listeners).markBeyond;
  const before = mark(...many);
  expect(mark(...[...many].reverse(), at('127.0.0.1', 7), at('0.0.0.0', 7, 2))).toBe(before);
  for (const other of [at('::', 7), at('0.0.0.0', 5_000), { ...at('0.0.0.0', 7), protocol: 'tcp' as const }]) {
    expect(mark(...many, other)).not.toBe(before);
    expect(mark(...many.slice(1), other)).not.toBe(before);
  }
});

it('tells nothing of who takes what goes to another host, and all of each address of its own', () => {
  const own = Object.values(networkInterfaces()).flatMap((each) => (each ?? []).map(({ address }) => address));
  expect(own).toContain('127.0.0.1');
  const listeners = ['0.0.0.0', '::', '198.51.100.7'].map((address) => ({ address, port: 1, uid: 1 }));
  const users = (host: string, more: readonly Listener[] = []) =>
    new ListenerTable([...listeners.map((one) => ({ ...one, protocol: 'tcp' as const })), ...more]).users(
      'tcp',
      host,
      1,
    );
  for (const host of ['198.51.100.7', '198.51.100.8', '2001:db8::7']) expect(users(host)).toEqual([]);
  for (const host of own) {
    expect(users(host)).toEqual([1]);
    // As the kernel's table has it.
    const address = host.includes(':') ? textAddress(networkAddress(host)) : host;
    expect(users(host, [{ protocol: 'tcp', address, port: 1, uid: 2 }])).toEqual([2]);
  }
});

it.runIf(process.platform === 'linux')('sees a real listener come and go', async () => {
  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const before = await readListenerTable();
  expect(before?.answers('tcp', '127.0.0.1', port)).toBe(true);
  expect(before?.users('tcp', '127.0.0.1', port)).toEqual([process.geteuid?.()]);
  // The agent's own is no program's; another of that port is.
  const own = (address: string) =>
    readListenerTable((listener) => listener.address === address && listener.port === port);
  expect((await own('127.0.0.1'))?.answers('tcp', '127.0.0.1', port)).toBe(false);
  expect((await own('0.0.0.0'))?.answers('tcp', '127.0.0.1', port)).toBe(true);
  server.close();
  await once(server, 'close');
  const after = await readListenerTable();
  expect(after?.answers('tcp', '127.0.0.1', port)).toBe(false);
});

const HEADER = TCP.slice(0, TCP.indexOf('\n') + 1);
const tableOf = (text: string) =>
  Promise.resolve({
    read: async (buffer: Buffer, _at: number, _length: number, position: number | null) => {
      expect(position).toBeNull();
      const bytesRead = buffer.write(text, 'latin1');
      text = '';
      return { bytesRead, buffer };
    },
    close: async () => undefined,
  }) as unknown as ReturnType<typeof open>;

it.each([
  ['nothing', ''],
  ['no heading', TCP.slice(HEADER.length)],
  ['half a line', TCP.slice(0, HEADER.length + 40)],
  ['half a heading', HEADER.slice(0, 20)],
])('is no look when a table is cut short: %s', async (_what, text) => {
  const opening = ((path: string) => tableOf(path.endsWith('/tcp') ? text : HEADER)) as typeof open;
  await expect(readListenerTable(undefined, opening)).rejects.toThrow('/proc/net/tcp is cut short');
});

it('is no look when a file cannot be opened for want of files, and no table where there is none', async () => {
  const failing = (code: string, paths: RegExp) =>
    ((path: string) =>
      paths.test(path) ? Promise.reject(Object.assign(new Error(code), { code })) : tableOf(HEADER)) as typeof open;
  await expect(readListenerTable(undefined, failing('EMFILE', /tcp6$/))).rejects.toMatchObject({ code: 'EMFILE' });
  await expect(readListenerTable(undefined, failing('ENFILE', /tcp$/))).rejects.toMatchObject({ code: 'ENFILE' });
  expect(await readListenerTable(undefined, failing('ENOENT', /tcp$/))).toBeUndefined();
  expect((await readListenerTable(undefined, failing('ENOENT', /6$/)))?.answers('tcp', '127.0.0.1', 1)).toBe(false);
});
