/**
 * Requests at a fixed rate over kept connections in turn, whether the answers to those before have come or not: paced-load.ts HOST PORT
 * REQUEST ANSWER_BYTES CONNECTIONS RATE SECONDS. REQUEST is a JSON string. Says ready when all are connected, begins a little later, and
 * sends each millisecond what is due. Prints how many were answered, in how long, and the milliseconds from when each was due that half and 99
 * of 100 took; closes the connections a little after that, so that neither their opening nor their end need be counted.
 */
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { spread } from '../statistics.ts';

const [host = '', port = '', written = '""', bytes = '1', connections = '1', rate = '1', seconds = '1'] =
  process.argv.slice(2);
const request = Buffer.from(JSON.parse(written) as string, 'latin1');
const answerBytes = Number(bytes);
const perMillisecond = Number(rate) / 1_000;
const count = Math.round(Number(rate) * Number(seconds));
/** Answers that have not come by then are lost. */
const PATIENCE_MS = 5_000;
const APART_MS = 200;

interface Connection {
  readonly socket: net.Socket;
  /** When each request that is not answered yet was due, the oldest first. */
  readonly due: number[];
  missing: number;
}

const times: number[] = [];
let finished: (() => void) | undefined;

function take(connection: Connection, length: number): void {
  for (connection.missing -= length; connection.missing <= 0; connection.missing += answerBytes) {
    const due = connection.due.shift();
    if (due === undefined) throw new Error('an answer that nothing was asked for');
    times.push(performance.now() - due);
  }
  if (times.length === count) finished?.();
}

const all = await Promise.all(
  Array.from(
    { length: Number(connections) },
    () =>
      new Promise<Connection>((resolve, reject) => {
        const socket = net.connect({ host, port: Number(port), noDelay: true });
        const connection: Connection = { socket, due: [], missing: answerBytes };
        socket.once('error', reject);
        socket.once('close', () => {
          if (times.length < count) throw new Error('closed before all was answered');
        });
        socket.once('connect', () => resolve(connection));
        socket.on('data', (piece) => take(connection, piece.length));
      }),
  ),
);

process.stdout.write('ready\n');
await sleep(APART_MS);
const start = performance.now();
let sent = 0;
await new Promise<void>((resolve, reject) => {
  finished = resolve;
  const ticking = setInterval(() => {
    const now = performance.now();
    for (const dueBy = (now - start) * perMillisecond; sent < count && sent < dueBy; sent += 1) {
      const connection = all[sent % all.length];
      if (connection === undefined) throw new Error('no connection');
      connection.due.push(start + sent / perMillisecond);
      connection.socket.write(request);
    }
    if (sent < count) return;
    clearInterval(ticking);
    setTimeout(() => reject(new Error(`${count - times.length} of ${count} were not answered`)), PATIENCE_MS).unref();
  }, 1);
});
const elapsed = (performance.now() - start) / 1_000;
process.stdout.write(`${JSON.stringify({ count: times.length, seconds: elapsed, ...spread(times) })}\n`);
await sleep(APART_MS);
for (const { socket } of all) socket.destroy();
