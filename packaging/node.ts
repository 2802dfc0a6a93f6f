/** The Node.js that a package brings: of the version and the content that the lockfile pins, for this machine or another. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

export const ARCHITECTURES = ['x64', 'arm64'] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

/** The folder of its npm package: the installed one, else one fetched into node_modules/.cache. Throws when it is not what is pinned. */
export function nodeFor(root: string, architecture: Architecture): string {
  const name = `node-linux-${architecture}`;
  const installed = join(root, 'node_modules', name);
  if (existsSync(installed)) return installed;
  const lock = readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8');
  const specifier = new RegExp(`${name}:\\n +specifier: (\\S+)`).exec(lock)?.[1];
  const pinned = new RegExp(`^  ${name}@${specifier}:\\n +resolution: \\{integrity: sha512-(\\S+)\\}`, 'm').exec(
    lock,
  )?.[1];
  if (pinned === undefined) throw new Error(`pnpm-lock.yaml pins no ${name}`);
  const cache = join(root, 'node_modules', '.cache', `${name}-${specifier}`);
  const folder = join(cache, 'package');
  if (existsSync(folder)) return folder;
  const half = join(cache, 'half');
  rmSync(half, { recursive: true, force: true });
  mkdirSync(half, { recursive: true });
  const tarball = execFileSync('npm', ['pack', '--silent', `${name}@${specifier}`], {
    cwd: half,
    encoding: 'utf8',
  }).trim();
  const got = createHash('sha512')
    .update(readFileSync(join(half, tarball)))
    .digest('base64');
  if (got !== pinned) throw new Error(`${tarball} is not what pnpm-lock.yaml pins: sha512-${got}`);
  execFileSync('tar', ['-xzf', tarball], { cwd: half });
  // There whole, or not at all.
  renameSync(join(half, 'package'), folder);
  rmSync(half, { recursive: true });
  return folder;
}
