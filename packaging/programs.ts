/**
 * Each program as a few files that hold all it loads. What is loaded on demand in the sources has a file of its own here, so that an agent does
 * not hold what only another command needs.
 */
import { join } from 'node:path';
import { bundle } from './bundle.ts';

/** Of the root of a built checkout; an entry of threads is found beside the code that starts them, by this name. */
const PROGRAMS = {
  agent: {
    weft: 'packages/agent/bin/weft.js',
    entry: 'packages/agent/dist/run/workers/entry.js',
    'owner-thread': 'packages/agent/dist/owner/owner-thread.js',
    'listening-thread': 'packages/agent/dist/owner/listening-thread.js',
  },
  control: { 'weft-control': 'packages/control/bin/weft-control.js', entry: 'packages/control/dist/flows/entry.js' },
};

/** Writes DIR/{agent,control}/dist/program. Answers the paths of all modules that are in them. */
export async function bundlePrograms(root: string, dir: string): Promise<readonly string[]> {
  const modules: string[] = [];
  for (const [name, entries] of Object.entries(PROGRAMS))
    modules.push(...(await bundle({ root, entries, to: join(dir, name, 'dist', 'program') })));
  return modules.filter((path) => !path.startsWith('\0'));
}
