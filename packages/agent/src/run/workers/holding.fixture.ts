/**
 * For tests: a thread that comes to its connections and keeps those to the service "kept", ends unasked when it is told of services, cannot enforce a netmap
 * in which something is new, hangs at one that lacks something, and enforces another only when it is asked for its numbers.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { closeHandle } from '../../bytes/handle.ts';
import { receiveSockets } from '../../bytes/inside/pass-sockets.ts';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';

const tell = (message: FromWorker | object): void => parentPort?.postMessage(message);
const held: number[] = [];
const kept: object[] = [];

parentPort?.on('message', (message: ToWorker) => {
  const enforced = (serial: number) => tell({ type: 'enforced', serial, failure: undefined });
  switch (message.type) {
    case 'update':
      if (message.update.services !== undefined) throw new Error('out of luck');
      if (message.update.netmap === undefined) enforced(message.serial);
      else if (message.update.netmap.upserts.length > 0)
        tell({ type: 'enforced', serial: message.serial, failure: 'out of order' });
      else if (message.update.netmap.removals.length > 0)
        Atomics.wait(new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)), 0, 0);
      else held.push(message.serial);
      return;
    case 'count':
      for (const serial of held.splice(0)) enforced(serial);
      tell({ type: 'numbers', numbers: { flows: 0, bulk: 0 }, serial: message.serial });
      return;
    case 'pulse':
      tell({ type: 'pulse', pulse: { peers: [], loopDelayUs: 0 }, pairs: [], serial: message.serial });
      return;
    case 'stop':
      tell({ type: 'stopped' });
  }
});
const { passed } = workerData as WorkerStart;
if (passed !== undefined)
  await receiveSockets(
    passed,
    (handle, text) => void (text.includes('"kept"') ? kept.push(handle) : closeHandle(handle)),
    () => {},
  );
tell({ type: 'ready' });
