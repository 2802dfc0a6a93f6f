/**
 * For tests: a program with one worker, which listens or, where the program is told `passed`, does not. Told of services, the worker waits in a system call
 * for as long as nobody writes to the FIFO `HANGS_AT`.
 */
import { readFileSync } from 'node:fs';
import { isMainThread, parentPort } from 'node:worker_threads';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';
import { WorkerHandle } from './worker-handle.ts';

async function lead(): Promise<void> {
  const begin = { thread: 1, ...(process.argv.includes('passed') ? { passed: {} } : {}) } as unknown as WorkerStart;
  const watch = { lookMs: 50, stuckLooks: 3 };
  const worker = new WorkerHandle(begin, () => {}, { entry: new URL(import.meta.url), watch });
  await worker.ready;
  await worker.update({ services: new Map() }).catch(({ message }: Error) => process.stdout.write(message));
  await worker.stop('it hangs');
}

function serve(): void {
  const tell = (message: FromWorker): void => parentPort?.postMessage(message);
  parentPort?.on('message', (message: ToWorker) => {
    if (message.type !== 'update') return;
    if (message.update.services !== undefined) readFileSync(process.env.HANGS_AT ?? '');
    tell({ type: 'enforced', serial: message.serial, failure: undefined });
  });
  tell({ type: 'ready' });
}

if (isMainThread) await lead();
else serve();
