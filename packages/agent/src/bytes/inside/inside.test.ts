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
import { acceptedConduit, connectSocket, type SocketConduit, socketConduit } from '../socket.ts';
import { acceptHandles } from './accept.ts';
import { adoptSocket } from './adopt.ts';
import { datagramHandleOutput } from './datagram-output.ts';
import { trustInside } from './known.ts';
import { handleOutput } from './stream-output.ts';

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

const throws = () => {
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

const events = { drained: () => undefined, failed: () => undefined };
const onread: net.OnReadOpts = { buffer: Buffer.alloc(16), callback: () => true };

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

describe('an accepted socket', () => {
  test('is moved to one that reads into the shared buffer, and written to on its handle, where all is as known', async () => {
    const { near, accepted } = await accept();
    expect(handleOutput(accepted, events)).toBeDefined();
    expect(adoptSocket(accepted, onread)).toBeDefined();
    near.destroy();
  });

  test.each(oddities)('is used as it is where useUserBuffer is %s', async (_how, change) => {
    const pair = await accept();
    put(handleOf(pair.accepted), 'useUserBuffer', change);
    expect(adoptSocket(pair.accepted, onread)).toBeUndefined();
    await echo(pair);
  });

  test('keeps its handle where a new socket cannot be made over it', async () => {
    const pair = await accept();
    put(handleOf(pair.accepted), 'useUserBuffer', { value: throws });
    expect(adoptSocket(pair.accepted, onread)).toBeUndefined();
    await echo(pair);
  });

  test('is used as it is where it does not show its handle', async () => {
    for (const [, change] of oddities.slice(0, 2)) {
      const { near, accepted } = await accept();
      const handle = handleOf(accepted);
      put(accepted, '_handle', { ...change, writable: true });
      expect(adoptSocket(accepted, onread)).toBeUndefined();
      expect(handleOutput(accepted, events)).toBeUndefined();
      put(accepted, '_handle', { value: handle, writable: true });
      near.destroy();
    }
  });

  test.each(
    (['writeBuffer', 'writev', 'writeQueueSize'] as const).flatMap((part) =>
      oddities.map(([how, change]) => [part, how, change] as const),
    ),
  )('is written to as a stream where %s is %s', async (part, _how, change) => {
    const pair = await accept();
    const handle = handleOf(pair.accepted) as Record<string, unknown>;
    const real = handle[part];
    put(handle, part, change);
    expect(handleOutput(pair.accepted, events)).toBeUndefined();
    // The stream writes by the same two: the look is over once the conduit is made.
    const conduit = socketConduit(pair.accepted);
    put(handle, part, { value: real, writable: true });
    const sent = randomBytes(300_000);
    conduit.write(sent, true);
    conduit.end();
    const pieces: Buffer[] = [];
    pair.near.on('data', (piece) => pieces.push(piece));
    await once(pair.near, 'end');
    expect(Buffer.concat(pieces).equals(sent)).toBe(true);
    pair.near.destroy();
  });
});

describe('a listening server', () => {
  type Made = NonNullable<ReturnType<typeof acceptedConduit>>;

  async function listening(): Promise<net.Server> {
    const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    undo.push(() => server.close());
    return server;
  }

  function call(server: net.Server): net.Socket {
    return net.connect({ port: (server.address() as net.AddressInfo).port, host: '127.0.0.1' });
  }

  test('tells of no socket of its own, and counts the one that is made, where all is as known', async () => {
    const server = await listening();
    const told: net.Socket[] = [];
    server.on('connection', (socket) => told.push(socket));
    const taken = new Promise<Made>((resolve) => acceptHandles(server, acceptedConduit, resolve));
    const near = call(server);
    const { conduit } = await taken;
    const count = () => new Promise((resolve) => server.getConnections((_error, open) => resolve(open)));
    expect([await count(), told]).toEqual([1, []]);
    conduit.attach({ data: (piece, owned) => void conduit.write(piece, owned), end: () => conduit.end(), ...unheard });
    near.end('hello');
    const closed = once(server, 'close');
    server.close();
    expect(String((await once(near, 'data'))[0])).toBe('hello');
    await closed;
  });

  const unheard = { drain: () => undefined, closed: () => undefined };

  test.each(
    (['onconnection', '_connections'] as const).flatMap((part) =>
      oddities.map(([how, change]) => [part, how, change] as const),
    ),
  )('tells of its connections as ever where %s is %s', async (part, _how, change) => {
    const server = await listening();
    const target = part === 'onconnection' ? handleOf(server) : server;
    const real = (target as Record<string, unknown>)[part];
    put(target, part, change);
    acceptHandles(server, acceptedConduit, () => expect.unreachable());
    put(target, part, { value: real, writable: true });
    const told = once(server, 'connection') as Promise<[net.Socket]>;
    const near = call(server);
    await echo({ near, accepted: (await told)[0] });
  });

  test('tells of one of which no socket can be made', async () => {
    const server = await listening();
    acceptHandles(
      server,
      () => undefined,
      () => expect.unreachable(),
    );
    const told = once(server, 'connection') as Promise<[net.Socket]>;
    const near = call(server);
    await echo({ near, accepted: (await told)[0] });
  });
});

describe('the class of write requests', () => {
  /** As at a start on a Node whose sockets write so. */
  async function outputThere(write: (this: net.Socket, piece: Buffer) => unknown): Promise<unknown> {
    const pair = await accept();
    vi.resetModules();
    put(net.Socket.prototype, 'write', { value: write, writable: true });
    const there = await import('./stream-output.ts');
    const output = there.handleOutput(pair.accepted, events);
    pair.near.destroy();
    return output;
  }
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
    ['it does not say whether it waits', shown(new WriteWrap())],
  ])('is not used where %s', async (_how, write) => {
    expect(await outputThere(write)).toBeUndefined();
  });

  test('is none where handles make requests themselves', async () => {
    expect(await outputThere(shown(null))).toBeDefined();
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
    const pair = await accept();
    expect(handleOutput(pair.accepted, events)).toBeDefined();
    pair.near.destroy();
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
    expect(handleOutput(near, events)).toBeUndefined();
    expect(adoptSocket(accepted, onread)).toBeUndefined();
    await echo({ near, accepted });
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
