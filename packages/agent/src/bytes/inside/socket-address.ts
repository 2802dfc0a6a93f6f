/** Where datagrams come from and go to, as the kernel has it (struct sockaddr_in and sockaddr_in6, Linux) and as Node says it. */
import { networkInterfaces } from 'node:os';
import { entryOf, formatAddress, groupsOf, normalHost, parseAddress } from '@weft/proto';
import { NAME_BYTES } from './native-memory.ts';

const AF_INET = 2;
const AF_INET6 = 10;
const BYTES = { [AF_INET]: 16, [AF_INET6]: 28 } as const;
const ADDRESS = { 4: 4, 6: 8, scope: 24 };
/** The last four of an IPv6 address. */
const TAIL = ADDRESS[6] + 12;
/** Places that are kept. */
const MOST = 1_024;
/** A message that was refused whole is not tried again for so many datagrams, each time twice as many. */
const FIRST_PAUSE = 64;
const LONGEST_PAUSE = 1 << 20;

export interface SocketPlace {
  readonly address: string;
  readonly port: number;
}

/** Who sent what one socket receives; the same object for the same place, as long as it is kept. */
export class Sources {
  readonly #known = new Map<number | string, SocketPlace>();
  #lastKey: number | string = '';
  #last: SocketPlace = { address: '', port: 0 };

  /** The sockaddr at `at`. */
  read(names: DataView, at: number): SocketPlace {
    const key = keyOf(names, at);
    if (key === this.#lastKey) return this.#last;
    let place = this.#known.get(key);
    if (place === undefined) {
      place = { address: addressText(names, at), port: names.getUint16(at + 2) };
      if (this.#known.size >= MOST) this.#known.clear();
      this.#known.set(key, place);
    }
    this.#lastKey = key;
    this.#last = place;
    return place;
  }
}

/** Of one socket, all of whose places are of one family. */
function keyOf(names: DataView, at: number): number | string {
  const port = names.getUint16(at + 2);
  if (names.getUint16(at, true) === AF_INET) return names.getUint32(at + ADDRESS[4]) * 0x10000 + port;
  if (isMapped(names, at)) return names.getUint32(at + TAIL) * 0x10000 + port;
  return Buffer.from(names.buffer, names.byteOffset + at, NAME_BYTES - 4).toString('latin1');
}

function isMapped(names: DataView, at: number): boolean {
  const first = at + ADDRESS[6];
  return names.getUint32(first) === 0 && names.getUint32(first + 4) === 0 && names.getUint32(first + 8) === 0xffff;
}

/** As Node says it. */
function addressText(names: DataView, at: number): string {
  if (names.getUint16(at, true) === AF_INET) return formatAddress(names.getUint32(at + ADDRESS[4]));
  if (isMapped(names, at)) return `::ffff:${formatAddress(names.getUint32(at + TAIL))}`;
  const groups = Array.from({ length: 8 }, (_, group) => names.getUint16(at + ADDRESS[6] + 2 * group).toString(16));
  const written = groups.join(':');
  const address = normalHost(written) ?? written;
  const scope = names.getUint32(at + ADDRESS.scope, true);
  return scope === 0 ? address : `${address}%${interfaceName(scope)}`;
}

function interfaceName(scope: number): string {
  for (const [name, places] of Object.entries(networkInterfaces())) {
    if (places?.some((place) => place.family === 'IPv6' && place.scopeid === scope) === true) return name;
  }
  return String(scope);
}

/**
 * Messages of one length are cut to a place, unless its path or device refuses it: then seldom asked, and each time for longer. Of one
 * place: others' paths take what this one refuses.
 */
export class CutPause {
  /** Datagrams until the kernel is asked again to cut one. */
  #left = 0;
  #next = FIRST_PAUSE;

  /** To be called for each datagram that may begin a message: whether it goes by itself. */
  holds(): boolean {
    if (this.#left === 0) return false;
    this.#left -= 1;
    return true;
  }

  /** A message was refused. */
  begin(): void {
    this.#left = this.#next;
    this.#next = Math.min(2 * this.#next, LONGEST_PAUSE);
  }

  /** A message was cut. */
  end(): void {
    this.#next = FIRST_PAUSE;
  }
}

export interface Destination extends SocketPlace {
  readonly sockaddr: Uint8Array;
  readonly pause: CutPause;
}

/** Where one socket sends; the same object for the same place, as long as it is kept. */
export class Destinations {
  readonly #ipv6: boolean;
  readonly #known = new Map<string, Map<number, Destination>>();
  #count = 0;
  #last: Destination | undefined;

  constructor(ipv6: boolean) {
    this.#ipv6 = ipv6;
  }

  /** Undefined for what is no address of the socket's family, or has a zone. */
  of(address: string, port: number): Destination | undefined {
    const last = this.#last;
    if (last !== undefined && last.port === port && last.address === address) return last;
    const found = this.#known.get(address)?.get(port) ?? this.#make(address, port);
    if (found !== undefined) this.#last = found;
    return found;
  }

  #make(address: string, port: number): Destination | undefined {
    const sockaddr = writeSockaddr(address, port, this.#ipv6);
    if (sockaddr === undefined) return undefined;
    if (this.#count >= MOST) {
      this.#known.clear();
      this.#count = 0;
    }
    const destination = { address, port, sockaddr, pause: new CutPause() };
    entryOf(this.#known, address, () => new Map<number, Destination>()).set(port, destination);
    this.#count += 1;
    return destination;
  }
}

function writeSockaddr(address: string, port: number, ipv6: boolean): Uint8Array | undefined {
  if (!Number.isInteger(port) || port < 1 || port > 0xffff) return undefined;
  const sockaddr = new Uint8Array(BYTES[ipv6 ? AF_INET6 : AF_INET]);
  const view = new DataView(sockaddr.buffer);
  view.setUint16(0, ipv6 ? AF_INET6 : AF_INET, true);
  view.setUint16(2, port);
  if (!ipv6) {
    const number = parseAddress(address);
    if (number === undefined) return undefined;
    view.setUint32(ADDRESS[4], number);
    return sockaddr;
  }
  const written = address.includes(':') ? URL.parse(`http://[${address}]/`)?.hostname : undefined;
  if (written === undefined) return undefined;
  for (const [group, number] of groupsOf(written.slice(1, -1)).entries())
    view.setUint16(ADDRESS[6] + 2 * group, number);
  return sockaddr;
}
