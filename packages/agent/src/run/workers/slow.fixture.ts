/** For tests: a worker that takes its time to start, and enforces what it was told when it is asked for its numbers. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import type { FromWorker, ToWorker } from './messages.ts';

const STARTS_MS = 2_000;

const tell = (message: FromWorker | object): void => parentPort?.postMessage(message);
const held: number[] = [];
await sleep(STARTS_MS);
parentPort?.on('message', (message: ToWorker) => {
  if (message.type === 'update') held.push(message.serial);
  if (message.type !== 'count') return;
  for (const serial of held.splice(0)) tell({ type: 'enforced', serial, failure: undefined });
  tell({ type: 'numbers', numbers: { flows: 0, bulk: 0 }, serial: message.serial });
});
tell({ type: 'ready' });
