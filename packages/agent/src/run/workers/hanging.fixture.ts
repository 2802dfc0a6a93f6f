/**
 * For tests: a program with one worker, which listens or, where the program is told `passed`, does not. Told of services, the worker waits in a system call
 * for as long as nobody writes to the FIFO `HANGS_AT`. Where the program is told `over` or `fails`, a request in Node's thread pool waits for that FIFO, and
 * the worker is told to stop, or fails.
 */
import { open, readFileSync, stat, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort } from 'node:worker_threads';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';
import { WorkerHandle } from './worker-handle.ts';

async function lead(): Promise<void> {
  const begin = { thread: 1, ...(process.argv.includes('passed') ? { passed: {} } : {}) } as unknown as WorkerStart;
  const watch = { lookMs: 50, stuckLooks: 3 };
  const ending = { lookMs: 20, looks: 5 };
  // Longer than any test: whoever has told all that there was is not waited for.
  const lastMs = 1e9;
  const worker = new WorkerHandle(begin, () => {}, { entry: new URL(import.meta.url), watch, ending, lastMs });
  await worker.ready;
  if (process.argv.includes('fails')) await worker.update({ answering: new Set() }).catch(() => {});
  if (process.argv.includes('over') || process.argv.includes('fails')) return await endResting(worker);
  await worker.update({ services: new Map() }).catch(({ message }: Error) => process.stdout.write(message));
  await worker.stop('it hangs');
}

async function endResting(worker: WorkerHandle): Promise<void> {
  void worker.empty.then(() => process.stdout.write('empty '));
  const gone = worker.gone.then(() => process.stdout.write('gone '));
  await worker.end('it rests');
  process.stdout.write('ended ');
  // Far more looks than would have it taken for one that hangs.
  await sleep(500);
  writeFileSync(process.env.HANGS_AT ?? '', '');
  await Promise.all([gone, worker.stop('it rests')]);
}

/** `then`: once the request has begun, and cannot be cancelled. */
function rest(then: () => void): void {
  open(process.env.HANGS_AT ?? '', () => {});
  // Node's pool takes them in turn.
  stat('/', then);
}

function serve(): void {
  const tell = (message: FromWorker): void => parentPort?.postMessage(message);
  parentPort?.on('message', (message: ToWorker) => {
    if (message.type === 'stop')
      rest(() => {
        tell({ type: 'over' });
        tell({ type: 'stopped' });
      });
    if (message.type !== 'update') return;
    if (message.update.answering !== undefined) {
      rest(() => {
        throw new Error('out of luck');
      });
      return;
    }
    if (message.update.services !== undefined) readFileSync(process.env.HANGS_AT ?? '');
    tell({ type: 'enforced', serial: message.serial, failure: undefined });
  });
  tell({ type: 'ready' });
}

if (isMainThread) await lead();
else serve();
