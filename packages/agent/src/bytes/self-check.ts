/**
 * Asks at the start of a process, by its first thread, whether bytes come through by what reaches under Node, before any of the network's do. A Node
 * that looks as known here and does something else is then served by its public API: slower, and not wrong.
 */
import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { messageOf } from '@weft/proto';
import { datagramOutput } from './datagrams.ts';
import { Deadline } from './deadline.ts';
import { trustInside } from './inside/known.ts';
import { missing } from './inside/tcp-inside.ts';
import { connectSocket, type SocketConduit } from './socket.ts';
import { listenConduits } from './socket-listen.ts';

const LONGEST_MS = 5_000;
/** No answer says nothing of Node where the host is busy: a second look has time for that. */
const SECOND_MS = 15_000;
const LEAST_BYTES = 2 ** 20;
/** More than the kernel takes of a connection that nobody reads, so that something waits. */
const MOST_BYTES = 2 ** 24;
/** Of no round size, so that what is shifted, doubled or left out differs. */
const PIECE_BYTES = 65_537;
const PATTERN = randomBytes(PIECE_BYTES);
const DATAGRAMS = [0, 1, 1_400, 20_000].map((length) => PATTERN.subarray(0, length));

/**
 * Answers what went wrong, and that the inside is left alone from now on, or why connections do without it already; undefined
 * where all came through, or could not be asked.
 */
export async function checkInside(
  longestMs: number = LONGEST_MS,
  secondMs: number = SECOND_MS,
): Promise<string | undefined> {
  const first = await look(longestMs);
  const fault = first.late ? await look(secondMs) : first;
  if (fault.cause === undefined) return missing;
  trustInside(false);
  if (!fault.late) return fault.cause;
  const times = `no answer within ${longestMs} ms, nor then within ${secondMs} ms`;
  return `${times}, as where the host is too busy for it, after which a restart of the agent is enough`;
}

/** No cause: all came through, or could not be asked. */
async function look(longestMs: number): Promise<{ readonly cause?: string; readonly late: boolean }> {
  const deadline = new Deadline(longestMs);
  const stop = new AbortController();
  try {
    await deadline.race(Promise.all([checkStreams(deadline, stop.signal), checkDatagrams(stop.signal)]));
    return { late: false };
  } catch (error) {
    // No socket to be had says nothing of how one works.
    if (!deadline.late && (error as NodeJS.ErrnoException).syscall !== undefined) return { late: false };
    return { cause: messageOf(error), late: deadline.late };
  } finally {
    deadline.close();
    stop.abort();
  }
}

/**
 * One way and then the other: what is written waits in part, since nobody reads before all is written. By two connections that are made at once,
 * for one that is accepted behind another may come otherwise; the second says little.
 */
async function checkStreams(deadline: Deadline, signal: AbortSignal): Promise<void> {
  const accepted: PromiseWithResolvers<SocketConduit>[] = [Promise.withResolvers(), Promise.withResolvers()];
  let count = 0;
  const listener = await listenConduits({ host: '127.0.0.1', port: 0 }, (conduit) => {
    accepted[count]?.resolve(conduit);
    count += 1;
  });
  const open = async (): Promise<SocketConduit> => {
    const { conduit } = await connectSocket({ host: '127.0.0.1', port: listener.port, deadline });
    signal.addEventListener('abort', () => conduit.reset(), { once: true });
    return conduit;
  };
  try {
    const connected = await Promise.all(accepted.map(open));
    for (const [index, near] of connected.entries()) {
      const far = await accepted[index]?.promise;
      if (far === undefined) throw new RangeError('more have connected than are accepted');
      signal.addEventListener('abort', () => far.reset(), { once: true });
      const [least, most] = index === 0 ? [LEAST_BYTES, MOST_BYTES] : [1, 1];
      await arrival(far, write(near, least, most));
      await arrival(near, write(far, least, most));
    }
  } finally {
    listener.close();
  }
}

/** Answers how many bytes it wrote of PATTERN, over and over: `least`, and until some wait, but at most `most`. */
function write(conduit: SocketConduit, least: number, most: number): number {
  let bytes = 0;
  while (bytes < least || (conduit.writes === 0 && bytes < most)) {
    // Alone and together, as the agent does.
    if (bytes === 0) conduit.write(PATTERN, true);
    else {
      conduit.writeTogether((emit) => {
        for (const piece of [PATTERN, PATTERN]) emit(piece, true);
      });
    }
    bytes += bytes === 0 ? PATTERN.length : 2 * PATTERN.length;
    conduit.write(PATTERN, false);
    bytes += PATTERN.length;
  }
  conduit.end();
  return bytes;
}

function arrival(conduit: SocketConduit, expected: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let bytes = 0;
  conduit.attach({
    data(piece) {
      for (let from = 0; from < piece.length; ) {
        const at = bytes % PATTERN.length;
        const length = Math.min(piece.length - from, PATTERN.length - at);
        if (piece.compare(PATTERN, at, at + length, from, from + length) !== 0) reject(new Error('other bytes came'));
        from += length;
        bytes += length;
      }
    },
    end() {
      if (bytes === expected) resolve();
      else reject(new Error(`${bytes} of ${expected} bytes came`));
    },
    drain() {},
    closed: (_how, cause) => reject(new Error('a connection ended early', { cause })),
  });
  return promise;
}

async function checkDatagrams(signal: AbortSignal): Promise<void> {
  const [near, connected, far] = await Promise.all([open(signal), open(signal), open(signal)]);
  const { port } = far.address();
  connected.connect(port, '127.0.0.1');
  await once(connected, 'connect', { signal });
  const fault = Promise.withResolvers<never>();
  const dropped = (cause: Error | undefined) => fault.reject(new Error('a datagram was not sent', { cause }));
  const outputs = [datagramOutput(near, PIECE_BYTES, dropped), datagramOutput(connected, PIECE_BYTES, dropped)];
  const arrived = new Map<string, number>();
  const all = Promise.withResolvers<void>();
  far.on('message', (datagram) => {
    const key = datagram.toString('latin1');
    arrived.set(key, (arrived.get(key) ?? 0) + 1);
    if (DATAGRAMS.every((sent) => arrived.get(sent.toString('latin1')) === outputs.length)) all.resolve();
  });
  for (const datagram of DATAGRAMS) {
    outputs[0]?.send(datagram, port, '127.0.0.1');
    outputs[1]?.sendConnected(datagram);
  }
  await Promise.race([all.promise, fault.promise]);
}

async function open(signal: AbortSignal): Promise<dgram.Socket> {
  const socket = dgram.createSocket('udp4');
  signal.addEventListener('abort', () => socket.close(), { once: true });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening', { signal });
  socket.on('error', () => {});
  return socket;
}
