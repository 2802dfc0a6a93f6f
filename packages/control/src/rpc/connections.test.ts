import { once } from 'node:events';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { agentService } from '@weft/proto/wire';
import { afterEach, expect, test, vi } from 'vitest';
import { framedAgentService } from './agent-service.ts';
import { ProvedCalls } from './call-stream.ts';
import { Connections } from './connections.ts';
import { framed, RawCalls } from './raw-call.fixture.ts';

const calls = new RawCalls();
afterEach(() => calls.close());

class FakeSocket {
  readonly remoteAddress: string;
  readonly remotePort: number;
  destroyed = false;
  #closed: () => void = () => undefined;

  constructor(peer: string) {
    const [address = '', port = ''] = peer.split(':');
    this.remoteAddress = address;
    this.remotePort = Number(port);
  }

  once(_event: 'close', closed: () => void): void {
    this.#closed = closed;
  }

  destroy(): void {
    this.destroyed = true;
    this.#closed();
  }
}

/** An agent's stream that is proved, on a connection of its own; and a way to let others in beside it. */
async function agentIn(connections: Connections) {
  const proved = new ProvedCalls();
  const enter = (peer: string) => {
    const socket = new FakeSocket(peer);
    return { socket, entered: connections.enter(socket as never) };
  };
  let serving: ServerDuplexStream<unknown, unknown> | undefined;
  const handlers = {
    join: () => undefined,
    connect: (call: ServerDuplexStream<unknown, unknown>) => {
      call.on('data', () => undefined).on('error', () => undefined);
      serving = call;
    },
  };
  let holder: ReturnType<typeof enter> | undefined;
  const address = await calls.serve(framedAgentService, handlers, [
    (method, call) => {
      holder ??= enter(call.getPeer());
      return connections.keepSeats(proved)(method, call);
    },
  ]);
  const stream = calls.open(address, agentService.connect.path, framed(Buffer.alloc(0)));
  await vi.waitFor(() => expect(serving).toBeDefined());
  if (serving !== undefined) proved.prove(serving);
  return { enter, stream, holder };
}

test('a connection keeps its place while a proved call is under way, and only then', async () => {
  const { enter, stream, holder } = await agentIn(new Connections({ most: 1, mostOfOne: 1 }));
  expect(enter('127.0.0.1:1').entered).toBe(false);
  expect(holder?.socket.destroyed).toBe(false);
  stream.close();
  await once(stream, 'close');
  await vi.waitFor(() => expect(enter('127.0.0.1:2').entered).toBe(true));
  expect(holder?.socket.destroyed).toBe(true);
});

test('streams of agents keep connections in their places only as far as their part of them goes', async () => {
  const { enter, holder } = await agentIn(new Connections({ most: 1, mostOfOne: 1 }, 10_000, 0));
  expect(enter('127.0.0.1:1').entered).toBe(true);
  expect(holder?.socket.destroyed).toBe(true);
});
