/** The agent for programs of the same host: a unix socket that answers the one question of each connection with one JSON object, and closes. */
import { lstat, unlink } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { messageOf } from '@weft/proto';
import { listenPrivately } from '../bytes/private-socket.ts';
import { StatusSocketError } from './errors.ts';
import { type ReadQuestion, readQuestion, toFailure } from './local-question.ts';

/** Readers at once; further ones are turned away. */
const READERS = 32;
/** Who takes longer to ask, or to read, is dropped. */
const READER_TIMEOUT_MS = 5_000;
/** A question that is not found an answer to in this time gets none. */
const ANSWER_TIMEOUT_MS = 30_000;
const QUESTION_BYTES = 4_096;

export type Answerer = (question: ReadQuestion) => object | Promise<object>;

/**
 * Serves until the signal is aborted; resolves once the socket listens, and the file is this user's alone. Whoever calls holds the
 * directory's lock, so that no other agent listens there. Throws StatusSocketError.
 */
export async function serveStatus(path: string, answerer: Answerer, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // A reader that goes away early is its own affair.
    socket.on('error', () => socket.destroy());
    socket.setTimeout(READER_TIMEOUT_MS, () => socket.destroy());
    void converse(socket, answerer);
  });
  server.maxConnections = READERS;
  try {
    await removeStale(path);
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

/** The first line, or all of it where who asks has ended; undefined once it has gone or says too much. */
function question(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (piece) => {
      text += piece.toString('latin1');
      if (text.length > QUESTION_BYTES) socket.destroy();
      else if (text.includes('\n')) resolve(text);
    });
    socket.on('end', () => resolve(text));
    socket.on('close', () => resolve(undefined));
  });
}

async function converse(socket: Socket, answerer: Answerer): Promise<void> {
  const line = await question(socket);
  if (line === undefined) return;
  socket.setTimeout(ANSWER_TIMEOUT_MS);
  let told: object;
  try {
    told = await answerer(readQuestion(line));
  } catch (error) {
    told = toFailure(error);
  }
  socket.setTimeout(READER_TIMEOUT_MS);
  socket.end(`${JSON.stringify(told)}\n`);
}

/** A killed agent leaves its socket's file behind. Anything else that stands there is not ours to remove. */
async function removeStale(path: string): Promise<void> {
  const there = await lstat(path).catch(() => undefined);
  if (there?.isSocket() === true) await unlink(path);
}
