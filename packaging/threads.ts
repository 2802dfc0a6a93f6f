/** The last step of a build: the code of an agent's second thread in a few files, which a loop beside bulk waits for. Its 200 modules one by one take six times as long. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './bundle.ts';

const root = join(import.meta.dirname, '..');
const to = join(root, 'packages/agent/dist/bundled');

const entries = {
  entry: 'packages/agent/dist/run/workers/entry.js',
  // Beside it, where it begins one.
  'owner-thread': 'packages/agent/dist/owner/owner-thread.js',
};

rmSync(to, { recursive: true, force: true });
await bundle({ root, entries, to });
