/**
 * All that is installed, as one folder that may lie anywhere and be read-only:
 *
 *   bin/weft, bin/weft-control   find the rest from their own place, through links too
 *   lib/node                     the Node.js that runs them
 *   lib/agent, lib/control       the programs, with the folders that their packages have, so that each finds what it reads
 *   share/                       units, what they want in /etc, JSON schemas of files and answers, examples, manual pages,
 *                                completions where bash, zsh and fish look
 *   LICENSE, LICENSES            ours; those of all that is in lib
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, lutimesSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ANSWERING, answerSchema } from '../packages/agent/src/cli/schemas/index.ts';
import { FILE_SORTS, jsonSchemaOf } from '../packages/agent/src/config/json-schema.ts';
import { threadProgram } from '../packages/agent/src/run/workers/program.ts';
import { licences } from './licences.ts';
import { writeManual } from './manual.ts';
import { bundlePrograms } from './programs.ts';

export interface TreeOptions {
  /** The root of a built checkout. */
  readonly root: string;
  /** Where it is made; must not be there yet. */
  readonly to: string;
  /** The folder of the npm package of Node.js. */
  readonly node: string;
  /** What all files say that they were changed at, seconds since the epoch. */
  readonly seconds: number;
}

export async function makeTree({ root, to, node, seconds }: TreeOptions): Promise<void> {
  requireBuild(root);
  const modules = await bundlePrograms(root, join(to, 'lib'));
  const control = join(to, 'lib', 'control');
  copy(join(root, 'packages/control/dist/web'), join(control, 'dist/web'));
  // One folder takes the place of the three packages' own, which are each found by the same steps from their code.
  const packages = join(root, 'packages/control/node_modules');
  copy(join(packages, 'grpc-health-check/proto'), join(control, 'proto'));
  copy(join(packages, '@grpc/reflection/build/proto'), join(control, 'proto'));
  copy(join(root, 'packages/proto/proto'), join(control, 'proto'));
  copy(join(node, 'bin/node'), join(to, 'lib/node'));
  copy(join(root, 'examples/prometheus'), join(to, 'share/examples/prometheus'));
  copy(join(root, 'examples/grafana'), join(to, 'share/examples/grafana'));
  for (const name of ['mesh.yaml', 'mesh-default-deny.yaml', 'weft.yaml', 'weft-gateway.yaml'])
    copy(join(root, 'examples', name), join(to, 'share/examples', name));
  copy(join(root, 'packaging/systemd'), join(to, 'share/systemd'));
  copy(join(root, 'packaging/etc'), join(to, 'share/etc'));
  copy(join(root, 'packaging/resolved.conf'), join(to, 'share/examples/resolved.conf'));
  writeSchemas(join(to, 'share/schema'));
  writeCompletions(root, join(to, 'share'));
  writeManual(root, join(to, 'share/man'), seconds);
  copy(join(root, 'LICENSE'), join(to, 'LICENSE'));
  const page = join(root, 'packages/control/dist/web/.vite/license.json');
  writeFileSync(join(to, 'LICENSES'), licences(modules, page, node));
  mkdirSync(join(to, 'bin'));
  writeFileSync(join(to, 'bin/weft'), launcher('agent/dist/program/weft.mjs'));
  writeFileSync(join(to, 'bin/weft-control'), launcher('control/dist/program/weft-control.mjs'));
  settle(to, seconds);
}

/** Throws where the compiler ran by itself, or ran again since: threads of such programs would not tell one build from another. */
function requireBuild(root: string): void {
  const dist = join(root, 'packages/agent/dist');
  const path = join(dist, 'words/build-id.js');
  if (!/'[0-9a-f]{32}'/.test(readFileSync(path, 'utf8')))
    throw new Error(`${path} does not say of which build it is; run npm run build`);
  const { unbundled } = threadProgram(pathToFileURL(join(dist, 'run/workers/program.js')).href);
  if (unbundled !== '') throw new Error(unbundled);
}

/** As `weft schema` prints them: of the files, and of what each command prints with `--json`. */
function writeSchemas(to: string): void {
  mkdirSync(join(to, 'json'), { recursive: true });
  const write = (name: string, schema: object) =>
    writeFileSync(join(to, `${name}.schema.json`), `${JSON.stringify(schema, undefined, 2)}\n`);
  for (const sort of FILE_SORTS) write(sort, jsonSchemaOf(sort));
  for (const command of ANSWERING) write(`json/${command.replace(' ', '-')}`, answerSchema(command));
}

/** Where each shell looks for what completes `weft`, below the share of its own prefix. */
export const COMPLETIONS = {
  bash: 'bash-completion/completions/weft',
  zsh: 'zsh/site-functions/_weft',
  fish: 'fish/vendor_completions.d/weft.fish',
} as const;

/** As `weft completion` prints them. */
function writeCompletions(root: string, to: string): void {
  for (const [shell, place] of Object.entries(COMPLETIONS)) {
    const weft = [join(root, 'packages/agent/bin/weft.js'), 'completion', shell];
    mkdirSync(join(to, dirname(place)), { recursive: true });
    writeFileSync(join(to, place), execFileSync(process.execPath, weft));
  }
}

/** Asks neither PATH nor HOME for anything: containers may have none. */
function launcher(program: string): string {
  return `#!/bin/sh
self=$(command -p readlink -f "$0") || exit
lib=\${self%/*/*}/lib
exec "$lib/node" "$lib/${program}" "$@"
`;
}

function copy(from: string, to: string): void {
  cpSync(from, to, { recursive: true, dereference: true, filter: (path) => !path.endsWith('/.vite') });
}

/** Modes and times that do not depend on who made it, and when. */
export function settle(path: string, seconds: number): void {
  const entries = readdirSync(path, { withFileTypes: true });
  for (const entry of entries) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) settle(child, seconds);
    else if (!entry.isSymbolicLink()) chmodSync(child, isProgram(child) ? 0o755 : 0o644);
    lutimesSync(child, seconds, seconds);
  }
  chmodSync(path, 0o755);
  lutimesSync(path, seconds, seconds);
}

function isProgram(path: string): boolean {
  return /\/(?:bin\/[^/]+|lib\/node|DEBIAN\/p\w+)$/.test(path);
}
