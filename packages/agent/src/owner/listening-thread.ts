/** The thread that finds out which programs of services listen where others come: it asks the kernel, and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import type { OwnerRule } from '../words/owner.ts';
import { type FoundListening, findListening } from './listening.ts';

if (parentPort !== null) {
  const port = parentPort;
  void findListening(workerData as readonly OwnerRule[]).then((found) =>
    port.postMessage(found satisfies FoundListening),
  );
}
