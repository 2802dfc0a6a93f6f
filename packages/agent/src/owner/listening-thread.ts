/** The thread that finds out which programs of services listen where others come: it asks the kernel, and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { requireProgram } from '../words/program.ts';
import { type FoundListening, findListening } from './listening.ts';
import type { ListeningThreadData } from './listening-entry.ts';

if (parentPort !== null) {
  const port = parentPort;
  const { program, rules } = workerData as ListeningThreadData;
  requireProgram(program);
  void findListening(rules).then((found) => port.postMessage(found satisfies FoundListening));
}
