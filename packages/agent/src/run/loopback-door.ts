/**
 * Whether a neighbour's packets may claim an address of 127.0.0.0/8, by which programs of this host are known: the kernel drops those,
 * unless it was told to route loopback (as kube-proxy does) and to look at no source.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { listed } from '@weft/proto';
import type { Problems } from '../words/problems.ts';

const SETTINGS = '/proc/sys/net/ipv4/conf';
/** Whoever changes it can wait for so long to hear that it is told, and a host of a thousand interfaces has two files for each. */
const LOOK_MS = 10_000;
/** Interfaces that the message names. */
const NAMED = 4;

/** Names of the interfaces that let them in; undefined where it cannot be read, as where there is no /proc. */
export function openInterfaces(directory: string = SETTINGS): readonly string[] | undefined {
  const read = (name: string, setting: string) => Number(readFileSync(`${directory}/${name}/${setting}`, 'latin1'));
  try {
    // Of `all` and an interface's own, routing holds where either says so, and of the filters the greater (ip-sysctl.rst).
    if (read('all', 'rp_filter') > 0) return [];
    const everywhere = read('all', 'route_localnet') > 0;
    return readdirSync(directory).filter(
      (name) =>
        !['all', 'default', 'lo'].includes(name) &&
        (everywhere || read(name, 'route_localnet') > 0) &&
        read(name, 'rp_filter') === 0,
    );
  } catch {
    return undefined;
  }
}

/** Tells of it while it is so, until the signal is aborted. */
export function watchLoopbackDoor(
  problems: Problems,
  signal: AbortSignal,
  look: typeof openInterfaces = openInterfaces,
): void {
  const problem = { code: 'loopback-open', subject: 'route_localnet' };
  const check = () => {
    const open = look();
    if (open === undefined) return;
    if (open.length === 0) problems.clear(problem.code, problem.subject);
    else problems.raise({ ...problem, message: doorOpen(open) });
  };
  check();
  const timer = setInterval(check, LOOK_MS).unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}

function doorOpen(names: readonly string[]): string {
  return (
    `the kernel takes packets on ${listed(names, NAMED)} that claim to come from 127.0.0.0/8 (route_localnet=1, rp_filter=0), ` +
    'so other hosts can send UDP to services as if they were programs of this one; ' +
    'as root: sysctl -w net.ipv4.conf.all.rp_filter=2, or net.ipv4.conf.all.route_localnet=0 and the same of each interface'
  );
}
