/**
 * Sockets of this host in /proc/net/{tcp,tcp6,udp,udp6} (proc_net_tcp(5)): who made them, and their inode, by which a process
 * that holds one is found. Read in a thread of its own: the kernel walks its whole table, some milliseconds, however few it shows.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { type HostPort, isOnThisHost, PROTOCOLS, type Protocol } from '@weft/proto';
import type { CallerSocket } from '../words/owner.ts';
import { kernelPlace, mappedPlace, networkAddress, networkOrder, TAKING } from './kernel-form.ts';

export interface FoundSocket {
  readonly inode: string;
  /** Effective user of who made it, as this agent's user namespace numbers it. */
  readonly uid: number;
  /** Control group that it was made in, by its number; absent where the kernel did not tell. */
  readonly group?: string;
}

/** Where sockets are looked up. Answers are in the order of what was asked. */
export interface Sockets {
  /** For each caller the sockets that it may have called from: of TCP one at most, of UDP all that have its port, whatever their address. */
  callers(callers: readonly CallerSocket[]): Promise<readonly (readonly FoundSocket[])[]>;
  /** Sockets that take what comes to these places, as the kernel chooses: those on the address itself, else those on every one; none for a place on another host. */
  listeners(
    places: readonly (HostPort & { readonly protocol: Protocol })[],
  ): Promise<readonly (readonly FoundSocket[])[]>;
}

/** Where a socket is. */
export interface Place {
  /** 8 or 32 hexadecimal digits in the network's order. */
  readonly address: string;
  readonly port: number;
  /** Whether it takes what comes from anybody. */
  readonly taking: boolean;
  /** Whether it is of IPv6 alone; false also where that is not known. */
  readonly alone: boolean;
  readonly socket: FoundSocket;
}

/** Parts of a table, by its name; each ends where a line ends. */
export type ReadTable = (name: string) => Iterable<string>;

export class SocketTables implements Sockets {
  readonly #read: ReadTable;

  constructor(read: ReadTable = readTable) {
    this.#read = read;
  }

  async callers(callers: readonly CallerSocket[]): Promise<readonly (readonly FoundSocket[])[]> {
    const tcp = callers.filter(({ protocol }) => protocol === 'tcp');
    const connections = tcp.length === 0 ? new Map() : this.#connections(tcp);
    // A socket that is connected elsewhere may still send here, and one that is bound to another address may send from this one (IP_PKTINFO).
    const udp = callers.length > tcp.length ? byPort(this.#places('udp', () => true)) : undefined;
    return callers.map(({ protocol, client, called }) => {
      if (protocol === 'udp') return udp?.(client.port).map(({ socket }) => socket) ?? [];
      const [local, remote] = [kernelPlace(client), kernelPlace(called)];
      const found: FoundSocket | undefined =
        connections.get(`${local} ${remote}`) ?? connections.get(`${mappedPlace(local)} ${mappedPlace(remote)}`);
      return found === undefined ? [] : [found];
    });
  }

  async listeners(places: readonly (HostPort & { readonly protocol: Protocol })[]) {
    const [tcp, udp] = (['tcp', 'udp'] as const).map((protocol) =>
      places.some((place) => place.protocol === protocol)
        ? byPort(this.#places(protocol, (state) => state === TAKING[protocol]))
        : undefined,
    );
    return places.map((place) => {
      const at = place.protocol === 'tcp' ? tcp : udp;
      return at === undefined ? [] : taking(at(place.port), place);
    });
  }

  /** All that take what comes from anybody. */
  takers(): readonly (Place & { readonly protocol: Protocol })[] {
    return PROTOCOLS.flatMap((protocol) =>
      this.#places(protocol, (state) => state === TAKING[protocol]).map((place) => ({ ...place, protocol })),
    );
  }

  /** By both ends, as the kernel writes them, of those that are looked for. */
  #connections(callers: readonly CallerSocket[]): ReadonlyMap<string, FoundSocket> {
    const wanted = new Set(
      callers.flatMap(({ client, called }) => {
        const ends = [kernelPlace(client), kernelPlace(called)];
        return [ends.join(' '), ends.map(mappedPlace).join(' ')];
      }),
    );
    const found = new Map<string, FoundSocket>();
    for (const [name, width] of [
      ['tcp', 27],
      ['tcp6', 75],
    ] as const) {
      for (const line of linesOf(this.#read(name))) {
        // Most are none of these: no more of them is read.
        const from = line.indexOf(': ') + 2;
        const ends = line.slice(from, from + width);
        if (!wanted.has(ends)) continue;
        const of = read(line);
        // One that waits out its time is nobody's any more, and what was accepted is on its way no more.
        if (of !== undefined && of.socket.inode !== '0' && of.state !== SYN_SENT) found.set(ends, of.socket);
      }
    }
    return found;
  }

  #places(protocol: Protocol, isWanted: (state: string) => boolean): readonly Place[] {
    return [protocol, `${protocol}6`].flatMap((name) => {
      const places: Place[] = [];
      for (const line of linesOf(this.#read(name))) {
        const found = read(line);
        if (found === undefined) continue;
        // The kernel tells who listens before all others, of whom there may be very many.
        if (protocol === 'tcp' && !isWanted(found.state)) break;
        if (isWanted(found.state)) places.push(found.place(found.state === TAKING[protocol]));
      }
      return places;
    });
  }
}

const SYN_SENT = '02';
const ANY = '0'.repeat(8);
const ANY_SIX = '0'.repeat(32);
const MAPPED = '00000000000000000000ffff';

/** Of the sockets at a port, those that take what comes to the place. */
export function taking(all: readonly Place[], { host, port }: HostPort): readonly FoundSocket[] {
  const address = networkAddress(host);
  const order =
    address.length > 8
      ? [[address], [ANY_SIX]]
      : // What is bound for all of IPv6 takes IPv4 as well, unless it says otherwise.
        [[address, `${MAPPED}${address}`], [ANY, `${MAPPED}${ANY}`], [ANY_SIX]];
  for (const wanted of order) {
    const found = all.filter(
      (one) => one.taking && one.port === port && wanted.includes(one.address) && !(address.length === 8 && one.alone),
    );
    // Whoever likes may bind another host's address (IP_FREEBIND), or have its port on every one.
    if (found.length > 0) return isOnThisHost(host) ? found.map(({ socket }) => socket) : [];
  }
  return [];
}

function byPort(all: readonly Place[]): (port: number) => readonly Place[] {
  const ports = Map.groupBy(all, ({ port }) => port);
  return (port) => ports.get(port) ?? [];
}

/** Undefined where it is not understood. */
function read(line: string) {
  // sl, local, remote, state, queues, timer, retransmits, uid, timeout, inode; all but the last three hexadecimal.
  const [, local, , state, , , , uid, , inode] = line.trim().split(/ +/);
  if (local === undefined || state === undefined || inode === undefined) return undefined;
  const socket: FoundSocket = { inode, uid: Number(uid) };
  const place = (isTaking: boolean): Place => ({
    ...{ address: networkOrder(local.slice(0, -5)), port: Number.parseInt(local.slice(-4), 16) },
    ...{ taking: isTaking, alone: false, socket },
  });
  return { state, socket, place };
}

function* linesOf(parts: Iterable<string>): Generator<string> {
  let isHead = true;
  for (const part of parts) {
    for (let at = 0; at < part.length; ) {
      const end = part.indexOf('\n', at);
      if (end === -1) break;
      if (!isHead) yield part.slice(at, end);
      isHead = false;
      at = end + 1;
    }
  }
}

/** Empty where the kernel has no such table, as without IPv6. */
function* readTable(name: string): Generator<string> {
  let file: number;
  try {
    file = openSync(`/proc/net/${name}`, 'r');
  } catch {
    return;
  }
  try {
    const buffer = Buffer.allocUnsafe(64 * 1024);
    let rest = '';
    for (;;) {
      const count = readSync(file, buffer, 0, buffer.length, null);
      if (count === 0) return;
      const text = rest + buffer.toString('latin1', 0, count);
      const end = text.lastIndexOf('\n') + 1;
      rest = text.slice(end);
      yield text.slice(0, end);
    }
  } finally {
    closeSync(file);
  }
}
