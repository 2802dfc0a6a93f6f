/**
 * For tests: a program of which a thread, and a request of Node's pool, wait for nobody to write to the FIFO that it is told. It ends at once with a
 * code, or killed where it is told none, and resets its own connection to the port; that of the thread it cannot get at. Told so, it has no file left then.
 * What else is done at an exit, as where a log waits for its reader, takes until somebody writes to the other FIFO.
 */
import { open, openSync, readFileSync, readSync } from 'node:fs';
import net from 'node:net';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { cutAtEnd, endAtOnce } from './end-at-once.ts';

const [fifo = '', held = '', port, code, files] = process.argv.slice(2);

if (isMainThread) {
  const socket = net.connect(Number(port), '127.0.0.1', () => socket.write('main'));
  const holding = openSync(held, 'r+');
  process.once('exit', () => readSync(holding, Buffer.alloc(1)));
  const cut = () => {
    socket.resetAndDestroy();
    // Behind what is reset then, whose files are free.
    if (files === 'none-left') takeAll();
  };
  cutAtEnd(cut, new AbortController().signal);
  new Worker(new URL(import.meta.url), { workerData: fifo, argv: [fifo, held, port] });
  open(fifo, () => {});
  socket.once('data', () => endAtOnce(code === undefined ? undefined : Number(code)));
} else {
  const socket = net.connect(Number(port), '127.0.0.1', () => socket.write('thread', () => readFileSync(workerData)));
}

function takeAll(): void {
  try {
    for (;;) openSync('/dev/null');
  } catch {
    // None is left.
  }
}
