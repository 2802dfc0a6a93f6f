/** For tests: a thread that takes connections, once it is told to begin, and answers each with what was said with it. */
import net from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { type PassWay, receiveSockets } from './pass-sockets.ts';

parentPort?.once('message', () => {
  void receiveSockets(
    workerData as PassWay,
    (handle, text) => new net.Socket({ handle } as unknown as net.SocketConstructorOpts).end(text),
    () => {},
  );
});
