/** What a Node might have otherwise than is known here: each part away or odd, and the same bytes by the public API. */
import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import vm from 'node:vm';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { datagramOutput } from '../datagrams.ts';
import { Deadline } from '../deadline.ts';
import { checkInside } from '../self-check.ts';
import { connectSocket, SocketConduit, socketConduit } from '../socket.ts';
import type { Transport } from '../transport.ts';
import { adoptSocket } from './adopt.ts';
import { datagramHandleOutput } from './datagram-output.ts';
import { acceptHandles } from './handle-connections.ts';
import { tcpInside } from './handle-transport.ts';
import { trustInside } from './known.ts';
import type { TcpInside } from './tcp-inside.ts';

const undo: (() => void)[] = [];

afterEach(() => {
  for (const step of undo.splice(0).reverse()) step();
  trustInside(true);
});

/** Until the test is over. */
function put(target: object, name: PropertyKey, change: PropertyDescriptor): void {
  const own = Object.getOwnPropertyDescriptor(target, name);
  Object.defineProperty(target, name, { ...change, configurable: true });
  undo.push(() => {
    if (own === undefined) Reflect.deleteProperty(target, name);
    else Object.defineProperty(target, name, own);
  });
}

const throws = (): never => {
  throw new Error('not here');
};
const absent: PropertyDescriptor = { value: undefined };
const wrong: PropertyDescriptor = { value: '7' };
const guarded: PropertyDescriptor = { get: throws };
const oddities = [
  ['absent', absent],
  ['of another type', wrong],
  ['an error to ask for', guarded],
] as const;

/** A connection with its accepted end as the server hands it out. */
async function accept(): Promise<{ readonly near: net.Socket; readonly accepted: net.Socket }> {
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  undo.push(() => server.close());
  const connection = once(server, 'connection') as Promise<[net.Socket]>;
  const near = net.connect({
    port: (server.address() as net.AddressInfo).port,
    host: '127.0.0.1',
    allowHalfOpen: true,
  });
  const [accepted] = await connection;
  return { near, accepted };
}

function handleOf(socket: net.Socket | net.Server): object {
  return (socket as unknown as { readonly _handle: object })._handle;
}

/** Sends more than the kernel takes at once, ends, and sends all that comes back. */
async function echo({ near, accepted }: { readonly near: net.Socket; readonly accepted: net.Socket }): Promise<void> {
  const conduit: SocketConduit = socketConduit(accepted);
  conduit.attach({
    data: (piece, owned) => void conduit.write(piece, owned),
    end: () => conduit.end(),
    drain: () => undefined,
    closed: () => undefined,
  });
  const sent = randomBytes(3_000_000);
  const pieces: Buffer[] = [];
  near.on('data', (piece) => pieces.push(piece));
  near.end(sent);
  await once(near, 'end');
  expect(Buffer.concat(pieces).equals(sent)).toBe(true);
}

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
  const conduit = socketConduit(accepted);
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
    const conduit = socketConduit(accepted);
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

describe('a UDP socket', () => {
  let near: dgram.Socket;
  let far: dgram.Socket;

  beforeEach(async () => {
    [near, far] = [dgram.createSocket('udp4'), dgram.createSocket('udp4')];
    for (const socket of [near, far]) {
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
      undo.push(() => socket.close());
    }
  });

  function stateOf(socket: dgram.Socket): { handle: Record<string, unknown> } {
    const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
    return (socket as unknown as Record<symbol, { handle: Record<string, unknown> }>)[symbol ?? Symbol()] as never;
  }

  const inside = () => datagramHandleOutput(near, 1_000, () => undefined);

  /** By what the agent sends by, and by the socket's own call, which is left as it was. */
  async function sends(): Promise<void> {
    const { port } = far.address();
    for (const send of [
      (datagram: Buffer) => datagramOutput(near, 1_000, throws).send(datagram, port, '127.0.0.1'),
      (datagram: Buffer) => near.send(datagram, port, '127.0.0.1'),
    ]) {
      const datagram = randomBytes(1_000);
      const arrived = once(far, 'message');
      send(datagram);
      expect(((await arrived) as [Buffer])[0].equals(datagram)).toBe(true);
    }
  }

  test('is sent to on its handle where all is as known', async () => {
    expect(inside()).toBeDefined();
    await sends();
  });

  test('is so, too, where its handle inherits what it looks names up by', async () => {
    const { handle } = stateOf(near);
    const { lookup } = handle;
    Object.setPrototypeOf(handle, Object.create(Object.getPrototypeOf(handle), { lookup: { value: lookup } }));
    Reflect.deleteProperty(handle, 'lookup');
    expect(inside()).toBeDefined();
    expect(Object.hasOwn(handle, 'lookup')).toBe(false);
    await sends();
  });

  test.each(
    (['send', 'lookup'] as const).flatMap((part) => oddities.map(([how, change]) => [part, how, change] as const)),
  )('is sent to by its public call where %s is %s', async (part, _how, change) => {
    const { handle } = stateOf(near);
    const real = handle[part];
    put(handle, part, change);
    expect(inside()).toBeUndefined();
    const output = datagramOutput(near, 1_000, throws);
    put(handle, part, { value: real, writable: true });
    const arrived = once(far, 'message');
    output.send(Buffer.from('one'), far.address().port, '127.0.0.1');
    expect(String(((await arrived) as [Buffer])[0])).toBe('one');
  });

  test('is sent to by its public call where the handle cannot be looked at', async () => {
    const state = stateOf(near);
    const { handle } = state;
    put(state, 'handle', guarded);
    expect(inside()).toBeUndefined();
    put(state, 'handle', { value: null, writable: true });
    expect(inside()).toBeUndefined();
    put(state, 'handle', { value: handle, writable: true });
    Object.preventExtensions(handle);
    expect(inside()).toBeUndefined();
    await sends();
  });

  test('is sent to by its public call where that fails, or shows no request', async () => {
    put(near, 'send', { value: throws });
    expect(inside()).toBeUndefined();
    put(near, 'send', { value: () => undefined });
    expect(inside()).toBeUndefined();
  });
});

describe('the look at the start', () => {
  test('finds nothing where bytes come through', async () => {
    expect(await checkInside()).toBeUndefined();
    expect(tcpInside()).toBeDefined();
  });

  test('finds datagrams that do not come, and what is opened from then on does without', async () => {
    const socket = dgram.createSocket('udp4');
    undo.push(() => socket.close());
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
    const { handle } = (socket as unknown as Record<symbol, { handle: object }>)[symbol ?? Symbol()] as {
      handle: object;
    };
    const prototype = Object.getPrototypeOf(handle) as { send: (...args: unknown[]) => number };
    const { send } = prototype;
    // Without a callback it takes a datagram and sends none.
    put(prototype, 'send', {
      value(this: object, ...args: unknown[]) {
        return args.at(-1) === true ? send.apply(this, args) : 1;
      },
      writable: true,
    });
    expect(await checkInside(300)).toBe('no answer within 300 ms');
    expect(datagramHandleOutput(socket, 1_000, () => undefined)).toBeUndefined();
    const arrived = once(socket, 'message');
    datagramOutput(socket, 1_000, throws).send(Buffer.from('one'), socket.address().port, '127.0.0.1');
    expect(String(((await arrived) as [Buffer])[0])).toBe('one');
  });

  test('finds bytes that change on their way, and connections do without', async () => {
    const { near, accepted } = await accept();
    const prototype = Object.getPrototypeOf(handleOf(near)) as { writev: (...args: unknown[]) => unknown };
    const { writev } = prototype;
    // Node 26 makes requests itself: what a stream writes is then not told from what is written on the handle.
    let looking: boolean = true;
    put(prototype, 'writev', {
      value(this: object, request: unknown, pieces: Buffer[], ...rest: unknown[]) {
        return writev.call(this, request, looking ? pieces.toReversed().slice(1) : pieces, ...rest);
      },
      writable: true,
    });
    expect(await checkInside(2_000)).toMatch(/bytes came|no answer/);
    looking = false;
    expect(tcpInside()).toBeUndefined();
    await echo({ near, accepted });
  });

  test.each(['connect', 'readStart', 'shutdown'])('finds a %s that does nothing', async (name) => {
    put((tcpInside() as TcpInside).TCP.prototype as object, name, { value: () => 0 });
    expect(await checkInside(300)).toBe('no answer within 300 ms');
    for (const step of undo.splice(0)) step();
    expect(tcpInside()).toBeUndefined();
    await echo(await accept());
  });

  test('says why connections do without, where what they are made of is not found', async () => {
    put(process, 'binding', { value: throws });
    vi.resetModules();
    const there = await import('../self-check.ts');
    expect(await there.checkInside()).toBe('not here');
  });

  test('says nothing where no socket can be had', async () => {
    put(net.Server.prototype, 'listen', {
      value(this: net.Server) {
        queueMicrotask(() => this.emit('error', Object.assign(new Error('no'), { code: 'EMFILE', syscall: 'listen' })));
      },
    });
    expect(await checkInside()).toBeUndefined();
    const deadline = new Deadline(9_000);
    await expect(connectSocket({ host: '127.0.0.1', port: 1, deadline })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
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
