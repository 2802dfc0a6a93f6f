/** A thread that is ready and takes nothing. */
import { type MessagePort, parentPort } from 'node:worker_threads';

const main = parentPort as MessagePort;
main.on('message', ({ type }: { readonly type: string }) => {
  if (type !== 'close') return;
  main.postMessage({ type: 'closed' });
  main.close();
});
main.postMessage({ type: 'ready', last: 0, kept: { records: 0, oldestMs: 0, diskBytes: 0 } });
