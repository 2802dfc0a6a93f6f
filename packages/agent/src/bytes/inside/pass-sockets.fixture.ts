/** For tests: a thread that takes connections, once it is told to begin, and answers each with what was said with it. */
import { closeSync, fstatSync, openSync } from 'node:fs';
import net from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { type PassWay, receiveSockets } from './pass-sockets.ts';

/** Of an array that the test shares: the thread stands still, the test is over. */
export const [HELD, OVER] = [1, 2];

parentPort?.on('message', (message: 'begin' | { readonly hold: Int32Array } | { readonly disturb: Int32Array }) => {
  if (message === 'begin') {
    void receiveSockets(
      workerData as PassWay,
      (handle, text) => {
        // Who called may be gone with what it was told unread.
        const socket = new net.Socket({ handle } as unknown as net.SocketConstructorOpts).on('error', () => {});
        socket.end(text);
      },
      () => {},
    );
  } else if ('hold' in message) {
    Atomics.store(message.hold, 0, HELD);
    Atomics.wait(message.hold, 0, HELD);
  } else parentPort?.postMessage(disturb(message.disturb));
});

/** Opens and closes files of its own, more than have a lower number free, until the test is over. Answers how many were not its own any more. */
function disturb(state: Int32Array): number {
  let lost = 0;
  Atomics.store(state, 0, HELD);
  while (Atomics.load(state, 0) === HELD) {
    for (const file of Array.from({ length: 16 }, () => openSync('/dev/null', 'r'))) {
      try {
        fstatSync(file);
        closeSync(file);
      } catch {
        lost += 1;
      }
    }
  }
  return lost;
}
