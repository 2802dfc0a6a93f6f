// Generates the static message code and its types from proto/ into generated/, and skips the work when nothing changed.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const here = import.meta.dirname;
const protoRoot = join(here, 'proto');
const outDir = join(here, 'generated');
const sources = ['mesh', 'agent', 'admin'].map((name) => join(protoRoot, 'weft', 'v1', `${name}.proto`));

const hash = createHash('sha256').update(readFileSync(import.meta.filename));
for (const source of sources) hash.update(readFileSync(source));
const digest = hash.digest('hex');
const stamp = join(outDir, '.stamp');

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== digest) {
  mkdirSync(outDir, { recursive: true });
  const cli = dirname(createRequire(import.meta.url).resolve('protobufjs-cli/package.json'));
  const js = join(outDir, 'weft.js');
  const run = (tool: string, args: string[]): void => {
    execFileSync(process.execPath, [join(cli, 'bin', tool), ...args], { cwd: here, stdio: 'inherit' });
  };
  run('pbjs', [
    '--target',
    'static-module',
    '--wrap',
    'es6',
    '--es6',
    '--force-number',
    '--no-verify',
    '--no-delimited',
    '--no-service',
    '--path',
    protoRoot,
    '--out',
    js,
    ...sources,
  ]);
  run('pbts', ['--out', join(outDir, 'weft.d.ts'), js]);
  writeFileSync(stamp, digest);
}
