/** A worker of another build than the one that begins it. */
import { workerData } from 'node:worker_threads';
import type { WorkerStart } from './messages.ts';
import { requireProgram } from './program.ts';

const { program } = workerData as WorkerStart;
requireProgram(`another than ${program}`, import.meta.url);
