import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { datagramOutput } from './datagrams.ts';
import { Deadline } from './deadline.ts';
import { datagramHandleOutput } from './inside/datagram-output.ts';
import { tcpInside } from './inside/handle-transport.ts';
import { accept, echo, handleOf, put, throws, undo } from './inside/oddities.fixture.ts';
import type { TcpInside } from './inside/tcp-inside.ts';
import { checkInside } from './self-check.ts';
import { connectSocket } from './socket.ts';

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
    expect(await checkInside(200, 100)).toMatch(/^no answer within 200 ms, nor then within 100 ms/);
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
    expect(await checkInside(200, 100)).toMatch(/^no answer within 200 ms, nor then within 100 ms/);
    for (const step of undo.splice(0)) step();
    expect(tcpInside()).toBeUndefined();
    await echo(await accept());
  });

  test('takes no Node for another that answers late', async () => {
    const { prototype } = (tcpInside() as TcpInside).TCP;
    const { readStart } = prototype as { readStart: (...args: unknown[]) => unknown };
    const startedMs = performance.now();
    put(prototype as object, 'readStart', {
      value(this: object, ...args: unknown[]) {
        return performance.now() - startedMs < 100 ? 0 : readStart.apply(this, args);
      },
    });
    expect(await checkInside(100, 20_000)).toBeUndefined();
    expect(tcpInside()).toBeDefined();
  });

  test('says why connections do without, where what they are made of is not found', async () => {
    put(process, 'binding', { value: throws });
    vi.resetModules();
    const there = await import('./self-check.ts');
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
