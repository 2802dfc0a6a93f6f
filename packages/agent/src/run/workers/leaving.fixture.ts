/** For tests: a worker that has one flow while it was told to leave, and none else. */
import { parentPort } from 'node:worker_threads';
import type { FromWorker, ToWorker } from './messages.ts';

const tell = (message: FromWorker | object): void => parentPort?.postMessage(message);
let flows = 0;
parentPort?.on('message', (message: ToWorker) => {
  if (message.type === 'leave') flows = message.leaving ? 1 : 0;
  else if (message.type === 'count') tell({ type: 'numbers', numbers: { flows }, serial: message.serial });
  else if (message.type === 'update') tell({ type: 'enforced', serial: message.serial, failure: undefined });
  else if (message.type === 'stop') tell({ type: 'stopped' });
});
tell({ type: 'ready' });
