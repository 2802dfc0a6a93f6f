/** The agent's state for programs on the same host: a unix socket that answers each connection with one JSON object and closes. */
import { once } from 'node:events';
import { chmod, lstat, unlink } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { messageOf } from '@weft/proto';
import { StatusSocketError } from './errors.ts';

/** Readers at once; further ones are turned away. */
const READERS = 32;
/** A reader that takes longer for its answer is dropped. */
const READER_TIMEOUT_MS = 5_000;

/**
 * Serves until the signal is aborted; resolves once the socket listens, and the file is this user's alone. Whoever calls holds the
 * directory's lock, so that no other agent listens there. Throws StatusSocketError.
 */
export async function serveStatus(
  path: string,
  snapshot: () => object | Promise<object>,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // A reader that goes away early is its own affair.
    socket.on('error', () => socket.destroy());
    socket.setTimeout(READER_TIMEOUT_MS, () => socket.destroy());
    socket.resume();
    void answer(socket, snapshot);
  });
  server.maxConnections = READERS;
  try {
    await listenPrivately(server, path);
  } catch (cause) {
    server.close();
    throw new StatusSocketError('status-socket-failed', `cannot listen on ${path}: ${messageOf(cause)}`, { cause });
  }
  signal.addEventListener(
    'abort',
    () => {
      // Closing the server also removes the file.
      server.close();
      for (const socket of sockets) socket.destroy();
    },
    { once: true },
  );
}

async function answer(socket: Socket, snapshot: () => object | Promise<object>): Promise<void> {
  const told = await snapshot();
  socket.end(`${JSON.stringify(told)}\n`);
}

/** A killed agent leaves its socket's file behind. Anything else that stands there is not ours to remove. */
async function removeStale(path: string): Promise<void> {
  const there = await lstat(path).catch(() => undefined);
  if (there?.isSocket() === true) await unlink(path);
}

async function listenPrivately(server: Server, path: string): Promise<void> {
  await removeStale(path);
  const listening = once(server, 'listening');
  // bind() gives the file the mode that the umask leaves. The directory is 0700, and the mask closes the moment
  // between bind and chmod for one that is not; bind happens inside listen(), so the mask is this call's alone.
  const mask = process.umask(0o177);
  try {
    server.listen(path);
  } finally {
    process.umask(mask);
  }
  await listening;
  server.on('error', () => {});
  await chmod(path, 0o600);
}
