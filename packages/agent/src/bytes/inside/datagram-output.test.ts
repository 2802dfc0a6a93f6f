import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { beforeEach, describe, expect, test } from 'vitest';
import { datagramOutput } from '../datagrams.ts';
import { datagramHandleOutput } from './datagram-output.ts';
import { guarded, oddities, put, throws, undo } from './oddities.fixture.ts';

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
