import { onTestFinished } from 'vitest';
import type { SocketConduit } from './socket.ts';
import { type ConduitListener, listenConduits, type Remote } from './socket-listen.ts';

/** Somebody who can be called. It goes with the test. */
export async function listener(): Promise<{ listener: ConduitListener; accepted: Promise<[SocketConduit, Remote]> }> {
  const accepted = Promise.withResolvers<[SocketConduit, Remote]>();
  const made = await listenConduits({ host: '127.0.0.1', port: 0 }, (conduit, remote) =>
    accepted.resolve([conduit, remote]),
  );
  onTestFinished(() => made.close());
  return { listener: made, accepted: accepted.promise };
}
