/** The programs that peers and loads are made of: found on $PATH, or where `--peer` says. */
import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { UsageError } from './usage.ts';

/** What a peer is started by, where `--peer NAME=PATH` may name another; some have a second program beside the first. */
const TAKE_A_PATH: Readonly<Record<string, readonly string[]>> = {
  nebula: ['nebula-cert'],
  'wireguard-go': [],
  stunnel4: [],
  haproxy: [],
  spiped: [],
  dnsmasq: [],
};

/** What one would wish to compare, and what would have to be done beside starting it. */
const NEED_MORE: Readonly<Record<string, string>> = {
  tailscaled:
    'it carries nothing before a control server has given it keys and peers, which is Tailscale, or a headscale with users and keys of its own',
  ztunnel:
    'it takes connections that are redirected to it by rules in the kernel, and workloads and certificates from an Istio control plane, or from files where it was built for its own tests',
  openziti:
    'it carries nothing before a controller and a router are enrolled, and identities, services and policies made in them, each by its own version of the command',
};

/** Where the programs of `--peer NAME=PATH` are, by program. Throws UsageError. */
export function parsePeerPaths(settings: readonly string[]): ReadonlyMap<string, string> {
  const programs = new Map<string, string>();
  for (const setting of settings) {
    const at = setting.indexOf('=');
    const [name, path] = at < 0 ? [setting, ''] : [setting.slice(0, at), setting.slice(at + 1)];
    const more = NEED_MORE[aliasOf(name)];
    if (more !== undefined) throw new UsageError(`--peer ${name}: this bench does not set up ${name}: ${more}`);
    const beside = TAKE_A_PATH[name];
    if (beside === undefined) {
      const known = Object.keys(TAKE_A_PATH).join(', ');
      throw new UsageError(`--peer ${setting}: ${name || 'nothing'} takes no path; these do: ${known}`);
    }
    if (path === '') throw new UsageError(`--peer ${setting}: expected ${name}=PATH`);
    if (programs.has(name)) throw new UsageError(`--peer ${setting}: ${name} was given a path already`);
    const program = programAt(setting, resolve(path));
    programs.set(name, program);
    for (const other of beside) programs.set(other, programAt(setting, join(dirname(program), other)));
  }
  return programs;
}

/** As people call them. */
function aliasOf(name: string): string {
  const plain = name.toLowerCase();
  if (plain === 'tailscale') return 'tailscaled';
  return plain === 'ziti' ? 'openziti' : plain;
}

function programAt(setting: string, path: string): string {
  const why = notProgram(path);
  if (why !== undefined) throw new UsageError(`--peer ${setting}: ${path} ${why}`);
  return realpathSync(path);
}

function notProgram(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 'is not there';
  if (!stat.isFile()) return 'is no file';
  return executable(path) ? undefined : 'may not be executed';
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** By name, on $PATH, or by path. */
export function installed(program: string): boolean {
  if (isAbsolute(program)) return executable(program);
  return (process.env.PATH ?? '').split(delimiter).some((folder) => executable(join(folder, program)));
}
