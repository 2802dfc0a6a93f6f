/** Questions over TCP: many on one connection, answered in whatever order the answers come (RFC 7766). */
import { once } from 'node:events';
import net from 'node:net';
import { frameMessage, MessageReader } from './framing.ts';
import type { Responder } from './responder.ts';
import { MOST_AT_ONCE } from './share.ts';

/** Questions of one connection under way; more are left in its socket. */
const MAX_UNDER_WAY = 32;
/** Answers that the asker has not read yet; no more questions are taken until it has. */
const MAX_UNREAD_BYTES = 128 * 1024;
const IDLE_MS = 10_000;

export async function bindTcp(host: string, port: number): Promise<net.Server> {
  const server = net.createServer({ allowHalfOpen: true, noDelay: true });
  server.listen({ host, port, exclusive: true });
  await once(server, 'listening');
  return server;
}

/** Answers until the server is closed; answers a function that ends every connection. */
export function serveTcp(server: net.Server, responder: Responder): () => void {
  /** In order of their last question: the first is the one that has been quiet the longest. */
  const connections = new Set<net.Socket>();
  server.on('connection', (socket) => {
    if (connections.size >= MOST_AT_ONCE) {
      // A new asker is worth more than one that holds its place and asks nothing.
      const [quietest] = connections;
      quietest?.destroy();
    }
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    serveConnection(socket, responder, () => {
      if (connections.delete(socket)) connections.add(socket);
    });
  });
  return () => {
    for (const socket of connections) socket.destroy();
  };
}

function serveConnection(socket: net.Socket, responder: Responder, active: () => void): void {
  let underWay = 0;
  let ended = false;

  const settle = (): void => {
    if (socket.destroyed) return;
    if (underWay >= MAX_UNDER_WAY || socket.writableLength > MAX_UNREAD_BYTES) socket.pause();
    else socket.resume();
    if (ended && underWay === 0) socket.end();
  };
  const reader = new MessageReader((message) => {
    if (socket.destroyed) return;
    active();
    underWay++;
    const answering = responder.respond(message, 'tcp', (answer) => {
      underWay--;
      if (!socket.destroyed) socket.write(frameMessage(answer));
      settle();
    });
    // What is no question cannot be answered, and whoever sent it waits for nothing that will come.
    if (!answering) socket.destroy();
  });

  // Counts bytes both ways: who reads nothing and who sends nothing are let go alike.
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  socket.on('data', (bytes) => {
    reader.push(bytes);
    settle();
  });
  socket.on('drain', settle);
  socket.on('end', () => {
    ended = true;
    settle();
  });
  // The close that follows says all there is to say.
  socket.on('error', () => {});
}
