/** For tests: a worker that starts well, and ends unasked at the first update. */
import { parentPort } from 'node:worker_threads';

parentPort?.on('message', () => {
  throw new Error('out of luck');
});
parentPort?.postMessage({ type: 'ready' });
