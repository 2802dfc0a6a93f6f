/** A worker of another build than the one that begins it. */
import { workerData } from 'node:worker_threads';
import { requireProgram } from '../../words/program.ts';
import type { WorkerStart } from './messages.ts';

const { program } = workerData as WorkerStart;
requireProgram(`another than ${program}`);
