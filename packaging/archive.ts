/** A folder as one file. The same folder gives the same bytes, whoever packs it and when. */
import { execFileSync } from 'node:child_process';
import { basename, dirname } from 'node:path';

/** Files keep the time that they have. */
export function tarball(folder: string, to: string): void {
  const same = ['--sort=name', '--format=ustar', '--owner=0', '--group=0', '--numeric-owner'];
  // gzip, when it is told nothing else, writes a name and a time of its own; a pipe has neither.
  execFileSync('tar', ['-C', dirname(folder), ...same, '--use-compress-program=gzip -n', '-cf', to, basename(folder)], {
    env: { ...process.env, LC_ALL: 'C' },
  });
}
