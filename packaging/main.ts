/**
 * npm run package [-- --arch x64|arm64] [--measure]: makes dist/weft-VERSION-linux-ARCH.tar.gz and dist/weft_VERSION_ARCH.deb of a built checkout.
 * --measure prints what it costs to run, beside the checkout; on a machine that does nothing else, and takes two minutes.
 */
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { tarball } from './archive.ts';
import { DEBIAN_NAMES, debianPackage } from './debian.ts';
import { type Costs, measure } from './measure.ts';
import { ARCHITECTURES, nodeFor } from './node.ts';
import { makeTree } from './tree.ts';

const root = join(import.meta.dirname, '..');

interface Built {
  readonly VERSION: string;
  readonly COMMIT_SECONDS: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { arch: { type: 'string', default: process.arch }, measure: { type: 'boolean', default: false } },
  });
  const architecture = ARCHITECTURES.find((known) => known === values.arch);
  if (architecture === undefined) throw new Error(`--arch takes ${ARCHITECTURES.join(' or ')}; found ${values.arch}`);
  const built = (await import(join(root, 'packages/proto/generated/version.js'))) as Built;
  const name = `weft-${built.VERSION}-linux-${architecture}`;
  const out = join(root, 'dist');
  const tree = join(out, name);
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  await makeTree({ root, to: tree, node: nodeFor(root, architecture), seconds: built.COMMIT_SECONDS });
  tarball(tree, `${tree}.tar.gz`);
  say(`${tree}.tar.gz`);
  const debian = join(out, `weft_${built.VERSION}_${DEBIAN_NAMES[architecture]}.deb`);
  const { VERSION: version, COMMIT_SECONDS: seconds } = built;
  debianPackage({ tree, version, architecture, seconds, to: debian });
  say(debian);
  if (!values.measure) return;
  const [packaged, checkout] = [await measure(join(tree, 'bin')), await measure(join(root, 'node_modules/.bin'))];
  for (const [what, text] of Object.entries(COSTS)) {
    const key = what as keyof Costs;
    process.stdout.write(`${text.padEnd(34)}${shown(packaged[key])}   checkout ${shown(checkout[key])}\n`);
  }
}

const COSTS: Readonly<Record<keyof Costs, string>> = {
  versionMs: 'weft version, ms',
  agentReadyMs: 'agent from start to ready, ms',
  controlReadyMs: 'control from start to ready, ms',
  agentMebibytes: 'agent idle, resident MiB',
  controlMebibytes: 'control idle, resident MiB',
};

function shown(figure: number): string {
  return figure.toFixed(0).padStart(6);
}

function say(file: string): void {
  process.stdout.write(`${file} (${(statSync(file).size / 2 ** 20).toFixed(1)} MiB)\n`);
}

await main();
