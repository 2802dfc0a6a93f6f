/**
 * Asks at the start of a process, by its first thread, whether many datagrams at once come through as they do one by one, before any of the network's
 * do. Where they do not, each goes and comes by itself: slower, and not wrong.
 */
import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { messageOf } from '@weft/proto';
import { datagramOutput, receiveDatagrams } from './datagrams.ts';
import { Deadline } from './deadline.ts';
import { leaveDatagrams, manyDatagrams, setNative } from './inside/known.ts';
import { batched, findNative } from './inside/native-calls.ts';

export { nativeCause } from './inside/known.ts';
export { batched as batchedDatagrams } from './inside/native-calls.ts';

const LONGEST_MS = 5_000;
const PATTERN = randomBytes(3_000);
/** Lengths that are cut of one message, with a shorter last, and others that are not. */
const LENGTHS = [1, 0, 1_200, 1_200, 1_200, 700, 1_400, 1_400, 3_000, 64];
const DATAGRAMS = LENGTHS.map((length, index) => PATTERN.subarray(index % 2, (index % 2) + Math.min(length, 2_999)));
const UNSENT_LIMIT = 1 << 16;
/** Times that all may come through one by one: what else runs may part what was sent together. */
const TRIES = 3;

export const SWITCHED_OFF = 'switched off by --no-native';

let started: Promise<string | undefined> | undefined;

/** By the first thread of a process, once: later calls answer what the first did. As `checkNative`; none where they are not wanted. */
export function startNative(wanted: boolean): Promise<string | undefined> {
  if (started === undefined) {
    setNative(wanted ? findNative() : SWITCHED_OFF);
    started = checkNative();
  }
  return started;
}

/** Answers what went wrong, and that this thread does without from now on; undefined where all came through, or it has none. */
export async function checkNative(longestMs: number = LONGEST_MS): Promise<string | undefined> {
  if (manyDatagrams() === undefined) return undefined;
  const deadline = new Deadline(longestMs);
  const stop = new AbortController();
  try {
    await deadline.race(comeThrough(stop.signal));
    return undefined;
  } catch (error) {
    // No socket to be had says nothing of how one works.
    if (!deadline.late && (error as NodeJS.ErrnoException).syscall === 'bind') return undefined;
    const fault = messageOf(error);
    leaveDatagrams(notThrough(fault));
    return fault;
  } finally {
    deadline.close();
    stop.abort();
  }
}

/** As status tells it. */
export function notThrough(fault: string): string {
  return `many datagrams at once do not come through: ${fault}`;
}

/** Resolves once all came through, and together; rejects with what is wrong. */
async function comeThrough(signal: AbortSignal): Promise<void> {
  const { sent, received } = batched;
  for (let tries = 0; tries < TRIES; tries++) {
    await echoed(signal);
    if (batched.sent > sent && batched.received > received) return;
  }
  throw new Error(batched.received > received ? 'none were sent by one call' : 'none were received by one call');
}

/** All at once to one that sends each on, as it is and in its order, to two: by its address, and where a socket is connected. */
async function echoed(signal: AbortSignal): Promise<void> {
  const fault = Promise.withResolvers<never>();
  // Nobody may wait for it yet.
  fault.promise.catch(() => {});
  const failed = (cause: Error) => fault.reject(new Error(`a socket failed: ${messageOf(cause)}`, { cause }));
  const [source, relay, connected, far] = await Promise.all(Array.from({ length: 4 }, () => open(signal, failed)));
  if (source === undefined || relay === undefined || connected === undefined || far === undefined) return;
  connected.connect(far.address().port, '127.0.0.1');
  await once(connected, 'connect', { signal });
  const dropped = (cause: Error | undefined) => {
    const reason = cause === undefined ? 'no room' : messageOf(cause);
    fault.reject(new Error(`a datagram was not sent: ${reason}`, { cause }));
  };
  const [byAddress, byConnection] = [relay, connected].map((socket) => datagramOutput(socket, UNSENT_LIMIT, dropped));
  receiveDatagrams(relay, (datagram, from) => {
    // Any program of the machine may send to any port: what is not ours says nothing.
    if (from.port !== source.address().port || from.address !== '127.0.0.1') return;
    byAddress?.send(datagram, far.address().port, '127.0.0.1');
    byConnection?.sendConnected(datagram);
  });
  const arrived = [relay, connected].map((socket) => ({ port: socket.address().port, count: 0 }));
  const all = Promise.withResolvers<void>();
  receiveDatagrams(far, (datagram, from) => {
    const way = arrived.find(({ port }) => port === from.port && from.address === '127.0.0.1');
    if (way === undefined) return;
    if (DATAGRAMS[way.count]?.equals(datagram) !== true) fault.reject(new Error('other datagrams came'));
    else way.count += 1;
    if (arrived.every(({ count }) => count === DATAGRAMS.length)) all.resolve();
  });
  for (const datagram of DATAGRAMS) source.send(datagram, relay.address().port, '127.0.0.1');
  await Promise.race([all.promise, fault.promise]);
}

async function open(signal: AbortSignal, failed: (cause: Error) => void): Promise<dgram.Socket> {
  const socket = dgram.createSocket({ type: 'udp4', lookup: (address, _options, found) => found(null, address, 4) });
  signal.addEventListener('abort', () => socket.close(), { once: true });
  const listening = once(socket, 'listening', { signal });
  socket.bind(0, '127.0.0.1');
  await listening;
  socket.on('error', failed);
  return socket;
}
