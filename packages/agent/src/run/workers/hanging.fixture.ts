/**
 * For tests: a program with one worker, which listens or, where the program is told `passed`, does not. Told of services, the worker waits in a system call
 * for as long as nobody writes to the FIFO `HANGS_AT`. Told to stop, as it is where the program is told `over`, it is over, and a request in Node's thread
 * pool waits for that FIFO.
 */
import { open, readFileSync, writeFileSync } from 'node:fs';
import { isMainThread, parentPort } from 'node:worker_threads';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';
import { WorkerHandle } from './worker-handle.ts';

async function lead(): Promise<void> {
  const begin = { thread: 1, ...(process.argv.includes('passed') ? { passed: {} } : {}) } as unknown as WorkerStart;
  const watch = { lookMs: 50, stuckLooks: 3 };
  const ending = { lookMs: 20, looks: 5 };
  const worker = new WorkerHandle(begin, () => {}, { entry: new URL(import.meta.url), watch, ending });
  await worker.ready;
  if (process.argv.includes('over')) return await endOver(worker);
  await worker.update({ services: new Map() }).catch(({ message }: Error) => process.stdout.write(message));
  await worker.stop('it hangs');
}

/** Far more looks than would have it taken for one that hangs. */
async function endOver(worker: WorkerHandle): Promise<void> {
  void worker.empty.then(() => process.stdout.write('empty '));
  const gone = worker.gone.then(() => process.stdout.write('gone '));
  await worker.end('it rests');
  process.stdout.write('ended ');
  writeFileSync(process.env.HANGS_AT ?? '', '');
  await Promise.all([gone, worker.stop('it rests')]);
}

function serve(): void {
  const tell = (message: FromWorker): void => parentPort?.postMessage(message);
  parentPort?.on('message', (message: ToWorker) => {
    if (message.type === 'stop') {
      open(process.env.HANGS_AT ?? '', () => {});
      tell({ type: 'over' });
    }
    if (message.type !== 'update') return;
    if (message.update.services !== undefined) readFileSync(process.env.HANGS_AT ?? '');
    tell({ type: 'enforced', serial: message.serial, failure: undefined });
  });
  tell({ type: 'ready' });
}

if (isMainThread) await lead();
else serve();
