/** The thread of flows, but the record `dies` ends it. */
import { type MessagePort, parentPort } from 'node:worker_threads';
import type { ToThread } from './messages.ts';

(parentPort as MessagePort).on('message', (message: ToThread) => {
  if (message.type === 'write' && message.packed.details.includes('dies')) process.exit(1);
});
await import('./entry.ts');
