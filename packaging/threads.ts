/**
 * The step of a build behind the compiler: the code of an agent's second thread in a few files, which a loop beside bulk waits for. Its 200 modules one by one take
 * six times as long. Says in what is compiled which build it is, for a thread that begins later may find another.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './bundle.ts';

const root = join(import.meta.dirname, '..');
const to = join(root, 'packages/agent/dist/bundled');
const buildId = 'packages/agent/dist/words/build-id.js';

/** `listening-thread` is not among them: no thread that is bundled here looks at the host, so none begins it. */
const entries = {
  entry: 'packages/agent/dist/run/workers/entry.js',
  // Beside it, where it begins one.
  'owner-thread': 'packages/agent/dist/owner/owner-thread.js',
};

/** Of what it is made of: what is left in a folder of something compiled before has no part in it. */
function sources(): readonly string[] {
  const of = (folder: string) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path));
  const code = ['packages/agent/src', 'packages/proto/src']
    .flatMap(of)
    .filter((path) => /(?<!\.test|\.fixture)\.ts$/.test(path));
  return ['pnpm-lock.yaml', ...code.sort()];
}

const hash = createHash('sha256');
for (const path of sources()) hash.update(`${path}\0`).update(readFileSync(join(root, path)));
writeFileSync(join(root, buildId), `export const BUILD = '${hash.digest('hex').slice(0, 32)}';\n`);

// Whole, and then in its place: a thread may begin meanwhile.
const [made, old] = [`${to}.new`, `${to}.old`];
for (const left of [made, old]) rmSync(left, { recursive: true, force: true });
await bundle({ root, entries, to: made, hashed: true });
if (existsSync(to)) renameSync(to, old);
renameSync(made, to);
rmSync(old, { recursive: true, force: true });
