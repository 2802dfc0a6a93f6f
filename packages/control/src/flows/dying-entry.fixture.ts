/** The thread of flows, but the record `dies` ends it, and `fails` after it said what failed. */
import { type MessagePort, parentPort } from 'node:worker_threads';
import type { FromThread, ToThread } from './messages.ts';

const port = parentPort as MessagePort;
const failure: FromThread = {
  type: 'trouble',
  trouble: { event: 'flows-not-written', path: 'flows', message: 'disk is full' },
};
port.on('message', (message: ToThread) => {
  if (message.type !== 'write') return;
  const { details } = message.packed;
  if (details.includes('fails')) port.postMessage(failure);
  if (details.includes('fails') || details.includes('dies')) process.exit(1);
});
await import('./entry.ts');
