/**
 * Sockets of this host in /proc/net/{tcp,tcp6,udp,udp6} (proc_net_tcp(5)): who made them, and their inode, by which a process
 * that holds one is found. Read in a thread of its own: the kernel walks its whole table, some milliseconds, however few it shows.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { HostPort, Protocol } from '@weft/proto';
import type { CallerSocket } from '../words/owner.ts';
import { kernelPlace, mappedPlace, SIX_LOOPBACK, TAKING } from './kernel-form.ts';

export interface FoundSocket {
  readonly inode: string;
  /** Effective user of who made it, as this agent's user namespace numbers it. */
  readonly uid: number;
}

/** For each caller, in their order, the sockets that it may have called from: of TCP one at most. */
export function findCallers(callers: readonly CallerSocket[], read = readTable): readonly (readonly FoundSocket[])[] {
  const tcp = callers.some(({ protocol }) => protocol === 'tcp') ? connections(read) : undefined;
  const udp = callers.some(({ protocol }) => protocol === 'udp') ? datagramSockets(read) : undefined;
  return callers.map((caller) => (caller.protocol === 'tcp' ? tcp?.(caller) : udp?.(caller)) ?? []);
}

/** Sockets that take what comes to these places, as the kernel chooses: those on the address itself, else those on every one. */
export function findListeners(
  places: readonly (HostPort & { readonly protocol: Protocol })[],
  read = readTable,
): readonly (readonly FoundSocket[])[] {
  const [tcp, udp] = (['tcp', 'udp'] as const).map((protocol) =>
    places.some((place) => place.protocol === protocol) ? listening(protocol, read) : undefined,
  );
  return places.map((place) => (place.protocol === 'tcp' ? tcp : udp)?.(place) ?? []);
}

interface Line {
  /** As the kernel writes them. */
  readonly local: string;
  readonly remote: string;
  readonly state: string;
  readonly socket: FoundSocket;
}

type ReadTable = (name: string) => string;

function connections(read: ReadTable): (caller: CallerSocket) => readonly FoundSocket[] {
  const places = new Map<string, FoundSocket>();
  for (const name of ['tcp', 'tcp6']) {
    for (const { local, remote, socket } of lines(read(name))) {
      // One that waits out its time is nobody's any more.
      if (socket.inode !== '0') places.set(`${local} ${remote}`, socket);
    }
  }
  return ({ client, called }) => {
    const [local, remote] = [kernelPlace(client), kernelPlace(called)];
    const found = places.get(`${local} ${remote}`) ?? places.get(`${mappedPlace(local)} ${mappedPlace(remote)}`);
    return found === undefined ? [] : [found];
  };
}

const ANY = '00000000';
const ANY_SIX = '0'.repeat(32);

/**
 * All that have the port, whatever their address: a socket that is connected elsewhere may still send here, and one that is bound to
 * another address may send from this one (IP_PKTINFO).
 */
function datagramSockets(read: ReadTable): (caller: CallerSocket) => readonly FoundSocket[] {
  const at = byPort(['udp', 'udp6'].flatMap((name) => [...lines(read(name))]));
  return ({ client }) => at(client.port).map(({ socket }) => socket);
}

function listening(protocol: Protocol, read: ReadTable): (place: HostPort) => readonly FoundSocket[] {
  const all = [protocol, `${protocol}6`].flatMap((name) => [...lines(read(name))]);
  const at = byPort(all.filter(({ state }) => state === TAKING[protocol]));
  return ({ host, port }) => {
    const six = host.includes(':');
    const place = kernelPlace({ host: six ? '0.0.0.0' : host, port });
    const end = place.slice(-5);
    // Of IPv6 places, ::1 is all that a target is.
    const order = six
      ? [[`${SIX_LOOPBACK}${end}`], [`${ANY_SIX}${end}`]]
      : [[place, mappedPlace(place)], [`${ANY}${end}`], [`${ANY_SIX}${end}`]];
    for (const wanted of order) {
      const found = at(port).filter(({ local }) => wanted.includes(local));
      if (found.length > 0) return found.map(({ socket }) => socket);
    }
    return [];
  };
}

function byPort(all: readonly Line[]): (port: number) => readonly Line[] {
  const ports = Map.groupBy(all, ({ local }) => Number.parseInt(local.slice(-4), 16));
  return (port) => ports.get(port) ?? [];
}

/** Lines that are not understood are passed over. */
function* lines(text: string): Generator<Line> {
  for (let at = text.indexOf('\n') + 1; at > 0 && at < text.length; ) {
    const end = text.indexOf('\n', at);
    // sl, local, remote, state, queues, timer, retransmits, uid, timeout, inode; all but the last three hexadecimal.
    const [, local, remote, state, , , , uid, , inode] = text
      .slice(at, end === -1 ? undefined : end)
      .trim()
      .split(/ +/);
    if (local !== undefined && remote !== undefined && state !== undefined && inode !== undefined)
      yield { local, remote, state, socket: { inode, uid: Number(uid) } };
    if (end === -1) return;
    at = end + 1;
  }
}

/** Empty where the kernel has no such table, as without IPv6. */
function readTable(name: string): string {
  let file: number;
  try {
    file = openSync(`/proc/net/${name}`, 'r');
  } catch {
    return '';
  }
  try {
    const buffer = Buffer.allocUnsafe(64 * 1024);
    const parts: string[] = [];
    for (;;) {
      const count = readSync(file, buffer, 0, buffer.length, null);
      if (count === 0) return parts.join('');
      parts.push(buffer.toString('latin1', 0, count));
    }
  } finally {
    closeSync(file);
  }
}
