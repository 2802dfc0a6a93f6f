/**
 * Connects, sends 64 bytes, reads 64 bytes, closes, and again, many at once: call-load.ts HOST PORT AT_ONCE CALLS SECONDS.
 * Ends after that many calls or seconds, whichever is first, and prints what it counted.
 */
import net from 'node:net';

const SIZE = 64;
const TIMEOUT = 5_000;
const [host = '', port = '', atOnce = '1', most = '1', seconds = '1'] = process.argv.slice(2);
const request = Buffer.alloc(SIZE, 'q');
// One buffer for all: nothing of an answer is kept, and the load's own cost has to stay small.
const buffer = Buffer.alloc(64 * 1024);
const failures = new Map<string, number>();
let begun = 0;
let answered = 0;

function call(done: (failure: string | undefined) => void): void {
  let missing = SIZE;
  let failure: string | undefined;
  const socket: net.Socket = net.connect({
    host,
    port: Number(port),
    noDelay: true,
    onread: {
      buffer,
      callback(count) {
        missing -= count;
        if (missing <= 0) socket.end();
        return true;
      },
    },
  });
  socket.write(request);
  socket.setTimeout(TIMEOUT, () => {
    failure = 'no answer in time';
    socket.destroy();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    failure = error.code ?? error.message;
  });
  socket.on('close', () => {
    // A reset after the whole answer spoils nothing for the caller, but it is not how a close should pass.
    done(failure ?? (missing > 0 ? 'closed before the answer' : undefined));
  });
}

const start = performance.now();
const deadline = start + Number(seconds) * 1_000;

function loop(ended: () => void): void {
  if (begun >= Number(most) || performance.now() >= deadline) {
    ended();
    return;
  }
  begun += 1;
  call((failure) => {
    if (failure === undefined) answered += 1;
    else failures.set(failure, (failures.get(failure) ?? 0) + 1);
    loop(ended);
  });
}

await Promise.all(Array.from({ length: Number(atOnce) }, () => new Promise<void>(loop)));
const elapsed = (performance.now() - start) / 1_000;
process.stdout.write(`${JSON.stringify({ answered, seconds: elapsed, failures: Object.fromEntries(failures) })}\n`);
