/** Parts of Node that are away or odd until a test is over, and connections that go on without. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { afterEach, expect } from 'vitest';
import { SocketConduit, transportOf } from '../socket.ts';
import { trustInside } from './known.ts';

/** Run when a test is over, the last first. */
export const undo: (() => void)[] = [];

afterEach(() => {
  for (const step of undo.splice(0).reverse()) step();
  trustInside(true);
});

/** Until the test is over. */
export function put(target: object, name: PropertyKey, change: PropertyDescriptor): void {
  const own = Object.getOwnPropertyDescriptor(target, name);
  Object.defineProperty(target, name, { ...change, configurable: true });
  undo.push(() => {
    if (own === undefined) Reflect.deleteProperty(target, name);
    else Object.defineProperty(target, name, own);
  });
}

export const throws = (): never => {
  throw new Error('not here');
};
export const absent: PropertyDescriptor = { value: undefined };
export const wrong: PropertyDescriptor = { value: '7' };
export const guarded: PropertyDescriptor = { get: throws };
export const oddities = [
  ['absent', absent],
  ['of another type', wrong],
  ['an error to ask for', guarded],
] as const;

/** A connection with its accepted end as the server hands it out. */
export async function accept(): Promise<{ readonly near: net.Socket; readonly accepted: net.Socket }> {
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

export function handleOf(socket: net.Socket | net.Server): object {
  return (socket as unknown as { readonly _handle: object })._handle;
}

/** Sends more than the kernel takes at once, ends, and sends all that comes back. */
export async function echo({
  near,
  accepted,
}: {
  readonly near: net.Socket;
  readonly accepted: net.Socket;
}): Promise<void> {
  const conduit = new SocketConduit(transportOf(accepted));
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
