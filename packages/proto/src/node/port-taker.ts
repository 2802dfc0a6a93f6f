/** Who has a port that this program was to listen on, as far as its user may see. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { groupsOf, isIPv4, isIPv6 } from '../model/address.ts';
import type { HostPort } from '../model/endpoint.ts';
import type { Protocol } from '../model/mesh.ts';

/** Open files that are looked at, of all processes: some half a second, for a program that cannot start. */
const MOST_FILES = 200_000;
/** States of sockets that have their port: TCP's that listen, and UDP's that are bound. */
const TAKING: Readonly<Record<Protocol, readonly string[]>> = { tcp: ['0A'], udp: ['07', '01'] };
const MAPPED = '0'.repeat(20).concat('ffff');
const ANY: readonly string[] = ['0'.repeat(32), `${MAPPED}${'0'.repeat(8)}`];

/** Such as `/usr/sbin/nginx (process 812 of user www-data)`; undefined where it cannot be known. */
export function portTaker({ host, port }: HostPort, protocol: Protocol): string | undefined {
  const wanted = hexOf(host);
  const all = [protocol, `${protocol}6`].flatMap((name) => socketsAt(name, port, TAKING[protocol]));
  const found =
    all.find(({ address }) => address === wanted) ??
    all.find(({ address }) => wanted === undefined || ANY.includes(address) || ANY.includes(wanted));
  if (found === undefined) return undefined;
  const user = `user ${nameOf(found.uid)}`;
  const pid = holderOf(`socket:[${found.inode}]`);
  if (pid === `${process.pid}`) return 'this program itself, by another of its options';
  if (pid === undefined) return `a program of ${user}`;
  return `${linkOf(`/proc/${pid}/exe`) || 'a program'} (process ${pid} of ${user})`;
}

interface Taking {
  /** All 16 bytes, in hexadecimal. */
  readonly address: string;
  readonly uid: string;
  readonly inode: string;
}

function socketsAt(table: string, port: number, states: readonly string[]): readonly Taking[] {
  const ends = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return textOf(`/proc/net/${table}`)
    .split('\n')
    .flatMap((line) => {
      // sl, local, remote, state, queues, timer, retransmits, uid, timeout, inode.
      const [, local = '', , state = '', , , , uid = '', , inode = ''] = line.trim().split(/ +/);
      if (!local.endsWith(ends) || !states.includes(state)) return [];
      // Words of four bytes, each in the order of this machine, of which all that run this have the last byte first.
      const bytes = local
        .slice(0, -ends.length)
        .replaceAll(/(..)(..)(..)(..)/g, '$4$3$2$1')
        .toLowerCase();
      return [{ address: bytes.length === 8 ? `${MAPPED}${bytes}` : bytes, uid, inode }];
    });
}

/** Undefined for a name. */
function hexOf(host: string): string | undefined {
  const hex = (number: number, digits: number): string => number.toString(16).padStart(digits, '0');
  if (isIPv4(host)) return MAPPED + Array.from(host.split('.'), (octet) => hex(Number(octet), 2)).join('');
  if (!isIPv6(host)) return undefined;
  const [plain = ''] = host.split('%');
  return groupsOf(new URL(`http://[${plain}]`).hostname.slice(1, -1))
    .map((group) => hex(group, 4))
    .join('');
}

function holderOf(socket: string): string | undefined {
  let left = MOST_FILES;
  for (const pid of [`${process.pid}`, ...namesIn('/proc').filter((name) => /^\d+$/.test(name))]) {
    const files = namesIn(`/proc/${pid}/fd`).slice(0, left);
    if (files.some((file) => linkOf(`/proc/${pid}/fd/${file}`) === socket)) return pid;
    left -= files.length;
  }
  return undefined;
}

function nameOf(uid: string): string {
  const line = textOf('/etc/passwd')
    .split('\n')
    .find((one) => one.split(':')[2] === uid);
  return line?.split(':')[0] || uid;
}

/** What may not be read, or is not there any more, says nothing. */
function unless<T>(read: () => T, nothing: T): T {
  try {
    return read();
  } catch {
    return nothing;
  }
}

const textOf = (path: string): string => unless(() => readFileSync(path, 'utf8'), '');
const namesIn = (path: string): readonly string[] => unless(() => readdirSync(path), []);
const linkOf = (path: string): string => unless(() => readlinkSync(path), '');
