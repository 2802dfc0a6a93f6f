/** What a Node might have otherwise than is known here: each part away or odd, and the same bytes by the public API. */
import { once } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import vm from 'node:vm';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { SocketConduit, transportOf } from '../socket.ts';
import type { Transport } from '../transport.ts';
import { adoptSocket } from './adopt.ts';
import { acceptHandles } from './handle-connections.ts';
import { tcpInside } from './handle-transport.ts';
import { trustInside } from './known.ts';
import { absent, accept, echo, handleOf, oddities, put, throws, undo, wrong } from './oddities.fixture.ts';
import type { TcpInside } from './tcp-inside.ts';

describe('a socket that Node made', () => {
  test('leaves its handle, and is over, where all is as known', async () => {
    const { near, accepted } = await accept();
    const transport = adoptSocket(accepted);
    expect([transport?.over, accepted.destroyed]).toEqual([false, true]);
    const closed = once(near, 'close');
    transport?.destroy();
    near.end();
    await closed;
  });

  test('is used as it is where it does not show its handle, or another one', async () => {
    for (const change of [absent, wrong, { value: {} }, { value: Object.create(null) }]) {
      const { near, accepted } = await accept();
      const handle = handleOf(accepted);
      put(accepted, '_handle', { ...change, writable: true });
      expect(adoptSocket(accepted)).toBeUndefined();
      put(accepted, '_handle', { value: handle, writable: true });
      await echo({ near, accepted });
    }
  });
});

test('a connection that the system does not let be reset is over all the same', async () => {
  const { near, accepted } = await accept();
  const handle = handleOf(accepted) as { reset: (closed: () => void) => number };
  const { reset } = handle;
  const conduit = new SocketConduit(transportOf(accepted));
  const over = new Promise<unknown>((closed) => {
    const ignored = (): void => undefined;
    conduit.attach({ data: ignored, end: ignored, drain: ignored, closed: (...said) => closed(said) });
  });
  put(handle, 'reset', { value: () => -22, writable: true });
  conduit.reset();
  expect(await over).toMatchObject(['reset', { code: 'EINVAL', syscall: 'reset' }]);
  reset.call(handle, () => undefined);
  near.destroy();
});

test.skipIf(tcpInside()?.failedAt === undefined)(
  'a request that failed when it was answered ends writing',
  async () => {
    const { near, accepted } = await accept();
    const { state, failedAt = 0 } = tcpInside() as TcpInside;
    const answered = (): object => {
      state[failedAt] = -32;
      return {};
    };
    put(handleOf(accepted), 'writeBuffer', { value: answered, writable: true });
    const conduit = new SocketConduit(transportOf(accepted));
    conduit.write(Buffer.from('lost'), true);
    expect(conduit.writes).toBe(0);
    const ignored = (): void => undefined;
    const over = new Promise<unknown>((closed) => {
      conduit.attach({ data: ignored, end: ignored, drain: ignored, closed: (...said) => closed(said) });
    });
    near.destroy();
    expect(await over).toMatchObject(['reset', { code: 'EPIPE', syscall: 'write' }]);
  },
);

describe('a listening server', () => {
  async function listening(): Promise<net.Server> {
    const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    undo.push(() => server.close());
    return server;
  }

  function call(server: net.Server): net.Socket {
    return net.connect({ port: (server.address() as net.AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  }

  test('tells of no socket of its own, and is closed before what it accepted, where all is as known', async () => {
    const server = await listening();
    const told: net.Socket[] = [];
    server.on('connection', (socket) => told.push(socket));
    const taken = new Promise<Transport>((resolve) => acceptHandles(server, resolve));
    const near = call(server);
    const conduit = new SocketConduit(await taken);
    expect(told).toEqual([]);
    const closed = once(server, 'close');
    server.close();
    await closed;
    conduit.attach({
      data: (piece, owned) => void conduit.write(piece, owned),
      end: () => conduit.end(),
      drain: () => undefined,
      closed: () => undefined,
    });
    near.end('hello');
    expect(String((await once(near, 'data'))[0])).toBe('hello');
  });

  test.each(oddities)('tells of its connections as ever where onconnection is %s', async (_how, change) => {
    const server = await listening();
    const handle = handleOf(server);
    const real = (handle as { readonly onconnection: unknown }).onconnection;
    put(handle, 'onconnection', change);
    acceptHandles(server, () => expect.unreachable());
    put(handle, 'onconnection', { value: real, writable: true });
    const told = once(server, 'connection') as Promise<[net.Socket]>;
    const near = call(server);
    await echo({ near, accepted: (await told)[0] });
  });

  test('tells of them once more when the inside was found to do something else', async () => {
    const server = await listening();
    acceptHandles(server, () => expect.unreachable());
    trustInside(false);
    const told = once(server, 'connection') as Promise<[net.Socket]>;
    const near = call(server);
    await echo({ near, accepted: (await told)[0] });
  });
});

describe('what connections are made of', () => {
  /** As at a start on a Node that has it so. */
  async function foundThere(): Promise<unknown> {
    vi.resetModules();
    const there = await import('./tcp-inside.ts');
    for (const step of undo.splice(0).reverse()) step();
    return there.found;
  }
  const { binding } = process as unknown as { binding(name: string): object };

  test('is found where all is as known', async () => {
    expect(await foundThere()).toBeDefined();
  });

  test.each([
    ['is not there', absent],
    ['throws', { value: throws }],
    ['answers nothing', { value: (): unknown => undefined }],
    ['answers something else', { value: (): object => ({}) }],
  ] as const)('is not looked for where what shows it %s', async (_how, change) => {
    put(process, 'binding', change);
    expect(await foundThere()).toBeUndefined();
  });

  const classes = ['TCP', 'TCPConnectWrap', 'ShutdownWrap', 'WriteWrap'] as const;
  const places = ['constants', 'streamBaseState', 'kReadBytesOrError'] as const;
  /** As `binding`, with one part changed. */
  const showing = (part: string, change: PropertyDescriptor) => ({
    value: (name: string): object => {
      const copy = { ...binding.call(process, name) };
      return part in copy ? Object.defineProperty(copy, part, { ...change, enumerable: true }) : copy;
    },
  });
  test.each([...classes, ...places].flatMap((part) => oddities.map(([how, change]) => [part, how, change] as const)))(
    'is not used where %s is %s',
    async (part, _how, change) => {
      put(process, 'binding', showing(part, change));
      expect(await foundThere()).toBeUndefined();
    },
  );

  const methods = [
    ...(['fd', 'writeQueueSize', 'useUserBuffer', 'readStart', 'readStop', 'writeBuffer', 'writev'] as const),
    ...(['shutdown', 'close', 'reset', 'setNoDelay', 'getsockname', 'getpeername'] as const),
    ...(['bind', 'bind6', 'connect', 'connect6'] as const),
  ];
  test.each(methods.flatMap((part) => oddities.map(([how, change]) => [part, how, change] as const)))(
    'is not used where a handle has %s %s',
    async (part, _how, change) => {
      const { TCP } = binding.call(process, 'tcp_wrap') as { readonly TCP: { readonly prototype: object } };
      put(TCP.prototype, part, change);
      expect(await foundThere()).toBeUndefined();
    },
  );

  const shown = (request: unknown) =>
    function (this: net.Socket, piece: Buffer) {
      return (handleOf(this) as { writeBuffer(request: unknown, piece: Buffer): number }).writeBuffer(request, piece);
    };
  class WriteWrap {}

  test.each<[string, (this: net.Socket, piece: Buffer) => unknown]>([
    ['writing throws', throws],
    ['nothing is written', () => true],
    ['the request is a plain object', shown({})],
    ['the request has no class', shown(Object.create(null))],
    ['the request is none', shown(undefined)],
    ['it is of another class', shown(new WriteWrap())],
  ])('is not used where %s', async (_how, write) => {
    put(net.Socket.prototype, 'write', { value: write, writable: true });
    expect(await foundThere()).toBeUndefined();
  });

  describe.each([
    ['make them themselves', 'kLastWriteErr', 'kLastWriteWasAsync', () => null],
    ['want ours', 'kLastWriteWasAsync', 'kLastWriteErr', (Wrap: new () => object) => new Wrap()],
  ] as const)('where handles %s', (_how, asked, ignored, request) => {
    beforeEach(() => {
      const { WriteWrap } = binding.call(process, 'stream_wrap') as { readonly WriteWrap: new () => object };
      put(net.Socket.prototype, 'write', { value: shown(request(WriteWrap)), writable: true });
    });

    test.each(oddities)(`is not used where ${asked} is %s`, async (_which, change) => {
      put(process, 'binding', showing(asked, change));
      expect(await foundThere()).toBeUndefined();
    });

    test.each(oddities.slice(0, 2))(`is used where ${ignored} is %s`, async (_which, change) => {
      put(process, 'binding', showing(ignored, change));
      expect(await foundThere()).toBeDefined();
    });
  });

  test('has no request of ours where handles make them themselves', async () => {
    put(net.Socket.prototype, 'write', { value: shown(null), writable: true });
    expect(await foundThere()).toMatchObject({ WriteWrap: null });
  });
});

test.each<[string, () => unknown]>([
  ['is not there', () => undefined],
  ['may not be asked for', throws],
])('nothing is collected by hand where the collector %s', async (_how, run) => {
  vi.resetModules();
  // Undone last first.
  undo.push(syncBuiltinESMExports);
  put(vm, 'runInNewContext', { value: run, writable: true });
  syncBuiltinESMExports();
  const there = await import('./collector.ts');
  expect([there.youngCollector(), there.fullCollector()]).toEqual([undefined, undefined]);
});
