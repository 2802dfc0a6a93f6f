/** For tests: a worker that cannot enforce a netmap in which something is new, and does not stop when it is told to. */
import { parentPort } from 'node:worker_threads';
import type { FromWorker, ToWorker } from './messages.ts';

const tell = (message: FromWorker): void => parentPort?.postMessage(message);
parentPort?.on('message', (message: ToWorker) => {
  if (message.type !== 'update') return;
  const fits = (message.update.netmap?.upserts.length ?? 0) === 0;
  tell({ type: 'enforced', serial: message.serial, failure: fits ? undefined : 'out of order' });
});
tell({ type: 'ready' });
