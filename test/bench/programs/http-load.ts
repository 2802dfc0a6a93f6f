/**
 * GETs, one after the other on each of many kept connections: http-load.ts HOST PORT NAME PATH AT_ONCE SECONDS. Prints how many were
 * answered well, in how long, and the milliseconds that half and 99 of 100 took.
 */
import net from 'node:net';
import { spread } from '../statistics.ts';

const [host = '', port = '', name = '', path = '/', atOnce = '1', seconds = '1'] = process.argv.slice(2);
const request = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${name}\r\nAccept: */*\r\n\r\n`);
const HEAD_END = Buffer.from('\r\n\r\n');
const TIMEOUT = 5_000;
const times: number[] = [];
const start = performance.now();
const deadline = start + Number(seconds) * 1_000;

function ask(ended: (failure: string | undefined) => void): void {
  let asked = 0;
  /** Of the answer that comes: bytes of it that are known to be missing, or its head as far as it is here. */
  let missing = -1;
  let head: Buffer = Buffer.alloc(0);
  let failure: string | undefined;
  const socket = net.connect({ host, port: Number(port), noDelay: true });
  const next = (): void => {
    if (performance.now() >= deadline) {
      socket.end();
      return;
    }
    asked = performance.now();
    socket.write(request);
  };
  socket.on('connect', next);
  socket.on('data', (piece: Buffer) => {
    if (missing < 0) {
      head = head.length === 0 ? piece : Buffer.concat([head, piece]);
      const end = head.indexOf(HEAD_END);
      if (end < 0) return;
      const text = head.toString('latin1', 0, end);
      const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
      if (!text.startsWith('HTTP/1.1 200 ') || length === undefined) {
        failure = `answered ${JSON.stringify(text.slice(0, 100))}`;
        socket.destroy();
        return;
      }
      missing = Number(length) - (head.length - end - HEAD_END.length);
      head = Buffer.alloc(0);
    } else {
      missing -= piece.length;
    }
    if (missing > 0) return;
    missing = -1;
    times.push(performance.now() - asked);
    next();
  });
  socket.setTimeout(TIMEOUT, () => {
    failure = 'no answer in time';
    socket.destroy();
  });
  socket.on('error', (error) => {
    failure = error.message;
  });
  socket.on('close', () =>
    ended(failure ?? (performance.now() < deadline ? 'closed before the time was over' : undefined)),
  );
}

const failures = await Promise.all(Array.from({ length: Number(atOnce) }, () => new Promise<string | undefined>(ask)));
const elapsed = (performance.now() - start) / 1_000;
const failed = failures.filter((failure) => failure !== undefined);
const answer = {
  answered: times.length,
  seconds: elapsed,
  ...spread(times),
  failures: [...new Set(failed)],
};
process.stdout.write(`${JSON.stringify(answer)}\n`);
