/**
 * The tree as a Debian package: the programs in /usr/lib/weft with their commands in /usr/bin, units where systemd looks, and what
 * an operator changes in /etc. Nothing is started or enabled: an agent wants a token first.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Architecture } from './node.ts';
import { settle } from './tree.ts';

export interface DebianOptions {
  /** As makeTree leaves it. */
  readonly tree: string;
  readonly version: string;
  readonly architecture: Architecture;
  /** What all files say that they were changed at, seconds since the epoch. */
  readonly seconds: number;
  /** The file that is made. Beside it, for a while, is a folder of its name and `.root`. */
  readonly to: string;
  readonly compression?: 'gzip' | 'none';
}

export const DEBIAN_NAMES: Readonly<Record<Architecture, string>> = { x64: 'amd64', arm64: 'arm64' };

/** What each folder or file of the tree becomes. */
const PLACES = {
  bin: 'usr/lib/weft/bin',
  lib: 'usr/lib/weft/lib',
  'share/systemd': 'usr/lib/systemd/system',
  'share/schema': 'usr/share/weft/schema',
  'share/examples': 'usr/share/doc/weft/examples',
  'share/bash-completion': 'usr/share/bash-completion',
  // Debian's zsh leaves site-functions to the host's own.
  'share/zsh/site-functions': 'usr/share/zsh/vendor-completions',
  'share/fish': 'usr/share/fish',
  'share/man': 'usr/share/man',
  'share/etc': 'etc',
  LICENSE: 'usr/share/doc/weft/copyright',
  LICENSES: 'usr/share/doc/weft/LICENSES',
};

export function debianPackage(options: DebianOptions): void {
  const { tree, seconds, to, compression = 'gzip' } = options;
  const root = `${to}.root`;
  rmSync(root, { recursive: true, force: true });
  for (const [from, place] of Object.entries(PLACES)) cpSync(join(tree, from), join(root, place), { recursive: true });
  for (const page of filesIn(join(root, 'usr/share/man'))) {
    writeFileSync(`${page}.gz`, gzipSync(readFileSync(page), { level: 9 }));
    rmSync(page);
  }
  mkdirSync(join(root, 'usr/bin'));
  for (const name of ['weft', 'weft-control']) symlinkSync(`../lib/weft/bin/${name}`, join(root, 'usr/bin', name));
  const write = (name: string, text: string) => {
    mkdirSync(join(root, 'DEBIAN'), { recursive: true });
    writeFileSync(join(root, 'DEBIAN', name), text);
  };
  write('control', control(options, kibibytes(root)));
  write(
    'conffiles',
    `${filesIn(join(root, 'etc'))
      .map((path) => path.slice(root.length))
      .join('\n')}\n`,
  );
  // Programs load some of their files on demand: those that run would meet another version's.
  const restart = '[ -z "$2" ] || systemctl try-restart weft-control weft weft-guard || :';
  write('postinst', script(['configure', `systemctl daemon-reload || :\n  ${restart}`, 'systemd']));
  // What the guard closed would stay closed, with nothing there to open it.
  const open = '[ ! -d /var/lib/weft ] || weft guard off --data /var/lib/weft || :';
  const stop = `systemctl disable --now weft weft-control weft-range weft-guard || :\n  systemctl stop 'weft-run@*.service' || :`;
  write('prerm', script(['remove', open], ['remove', stop, 'systemd']));
  settle(root, seconds);
  // It may hold a token.
  chmodSync(join(root, 'etc/default/weft'), 0o600);
  execFileSync('dpkg-deb', ['--root-owner-group', `-Z${compression}`, '--build', root, to], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(seconds) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  rmSync(root, { recursive: true });
}

/** The time of the commit before its name: of two packages of a version, dpkg is to know the later. */
function debianVersion({ version, seconds }: DebianOptions): string {
  const time = new Date(seconds * 1_000).toISOString().replaceAll(/\D/g, '').slice(0, 14);
  return version.replace('+', `+${time}.`);
}

function control(options: DebianOptions, size: number): string {
  return `Package: weft
Version: ${debianVersion(options)}
Architecture: ${DEBIAN_NAMES[options.architecture]}
Maintainer: Weft <weft@localhost>
Installed-Size: ${size}
Depends: libatomic1, libc6 (>= 2.28), libgcc-s1, libstdc++6 (>= 8)
Recommends: iproute2, systemd
Section: net
Priority: optional
Description: private network for services, in user space
 Services on any set of hosts call each other by name, encrypted end to end,
 and nothing of it is reachable from the internet. This holds the agent, which
 runs beside the programs of a host, and control, which decides who belongs.
`;
}

/** `steps`: each of what dpkg says that it does, of what is then run, and of whether where systemd runs alone. Not for a root that is no system yet. */
function script(...steps: readonly (readonly [when: string, what: string, how?: 'systemd'])[]): string {
  const blocks = steps.map(([when, what, how]) => {
    const here = how === 'systemd' ? ' && [ -d /run/systemd/system ]' : '';
    return `if [ "$1" = ${when} ] && [ -z "\${DPKG_ROOT:-}" ]${here}; then
  ${what}
fi
`;
  });
  return `#!/bin/sh
set -e
${blocks.join('')}`;
}

function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function kibibytes(folder: string): number {
  return filesIn(folder).reduce((sum, path) => sum + Math.ceil(statSync(path).size / 1_024), 0);
}
