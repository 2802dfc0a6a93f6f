/** For tests: a worker that starts well, is well for a while, and ends unasked when it is told of services. */
import { parentPort } from 'node:worker_threads';

parentPort?.on(
  'message',
  ({ serial, update }: { readonly serial: number; readonly update?: { readonly services?: unknown } }) => {
    if (update?.services !== undefined) throw new Error('out of luck');
    parentPort?.postMessage({ type: 'enforced', serial, failure: undefined });
    parentPort?.postMessage({ type: 'bound', serial });
  },
);
parentPort?.postMessage({ type: 'ready' });
