/**
 * What listens on this host, read from Linux's /proc/net/{tcp,tcp6,udp,udp6} (proc_net_tcp(5)): the programs' ports are
 * seen without a connection into any of them.
 */
import { open } from 'node:fs/promises';
import { byText, entryOf, isOnThisHost, type Protocol } from '@weft/proto';
import { networkAddress, networkOrder, TAKING, textAddress } from '../owner/kernel-form.ts';
import { isLoopback, isWildcard } from './addresses.ts';

/** A bound socket: one that listens (TCP), or one that takes datagrams from anybody (UDP). */
export interface Listener {
  readonly protocol: Protocol;
  /** `127.0.0.1`, `0.0.0.0`, `::1`, `::`, or any other in the same form. */
  readonly address: string;
  readonly port: number;
  /** Effective user of who made it; absent where that was not told. */
  readonly uid?: number;
}

/** Where programs listen, as it is gathered: bit by bit, for anybody on the host may have 100,000 sockets. */
export class ListenerPlaces {
  /** By protocol and port such as 8080/tcp, by address, users who made the sockets there. */
  readonly byPort = new Map<string, Map<string, readonly number[]>>();
  /** Ports held on `::` and not on 0.0.0.0. */
  readonly onSix = new Set<string>();
  /** How many are beyond loopback. */
  beyond = 0;
  /** Sum of the hashes of those: the same for the same places, in whatever order they come. */
  #mark = 0;

  add({ protocol, port, address, uid }: Listener): void {
    const key = `${port}/${protocol}`;
    const at = entryOf(this.byPort, key, () => new Map<string, readonly number[]>());
    const users = at.get(address);
    if (users === undefined) {
      if (address === '0.0.0.0') this.onSix.delete(key);
      else if (address === '::' && !at.has('0.0.0.0')) this.onSix.add(key);
      if (!isLoopback(address)) {
        this.beyond++;
        this.#mark = (this.#mark + hashOf(`${key} ${address}`)) >>> 0;
      }
    }
    if (users === undefined || (uid !== undefined && !users.includes(uid)))
      at.set(address, uid === undefined ? [] : [...(users ?? []), uid]);
  }

  /** Tells whether the places beyond loopback are others than before. */
  get mark(): string {
    return `${this.beyond} ${this.#mark}`;
  }
}

/** FNV-1a of 32 bits, its bits spread further: it is added up. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** Every address that something listens on, by protocol and port. Nothing that it is asked takes longer where much listens. */
export class ListenerTable {
  readonly #places: ListenerPlaces;
  /** Ports whose `::` takes IPv6 alone; the key is such as 8080/tcp. */
  readonly #sixOnly: ReadonlySet<string>;
  /** Of how many of the kernel's tables it is made. */
  readonly tables: number;

  constructor(listeners: Iterable<Listener> | ListenerPlaces, tables = FILES.length, sixOnly: Iterable<string> = []) {
    this.tables = tables;
    this.#sixOnly = new Set(sixOnly);
    this.#places = listeners instanceof ListenerPlaces ? listeners : new ListenerPlaces();
    if (!(listeners instanceof ListenerPlaces)) for (const listener of listeners) this.#places.add(listener);
  }

  /** Whether a connection to this address and port would find a listener; a wildcard takes those of its family. */
  answers(protocol: Protocol, host: string, port: number): boolean {
    const addresses = this.#places.byPort.get(`${port}/${protocol}`);
    if (addresses === undefined) return false;
    if (addresses.has(host)) return true;
    return host.includes(':') ? addresses.has('::') : this.hasWildcard(protocol, port);
  }

  /**
   * Users of who takes what comes to this address and port, as the kernel chooses: who is on the address itself, else who is on every one. None of another host's
   * address, which is taken there, whoever has the port on every address here.
   */
  users(protocol: Protocol, host: string, port: number): readonly number[] {
    const at = this.#places.byPort.get(`${port}/${protocol}`);
    if (at === undefined || !isOnThisHost(host)) return [];
    if (host.includes(':')) return at.get(textAddress(networkAddress(host))) ?? at.get('::') ?? [];
    return at.get(host) ?? at.get('0.0.0.0') ?? (this.hasWildcard(protocol, port) ? at.get('::') : undefined) ?? [];
  }

  /** Whether something holds the port on every IPv4 address, which those of the services are. */
  hasWildcard(protocol: Protocol, port: number): boolean {
    const key = `${port}/${protocol}`;
    const addresses = this.#places.byPort.get(key);
    return addresses !== undefined && (addresses.has('0.0.0.0') || (addresses.has('::') && !this.#sixOnly.has(key)));
  }

  /** Addresses of this host, none of them of loopback, on which a program holds the port. */
  outside(protocol: Protocol, port: number): readonly string[] {
    return this.beyondLoopback(protocol, port).filter((address) => !isWildcard(address));
  }

  /** As these, and the wildcards; in order. */
  beyondLoopback(protocol: Protocol, port: number): readonly string[] {
    return [...(this.#places.byPort.get(`${port}/${protocol}`)?.keys() ?? [])]
      .filter((address) => !isLoopback(address))
      .sort(byText);
  }

  /** Whether a program holds the port on this very address. */
  holds({ protocol, address, port }: Listener): boolean {
    return this.#places.byPort.get(`${port}/${protocol}`)?.has(address) === true;
  }

  /** How many places programs hold beyond loopback. */
  get countBeyond(): number {
    return this.#places.beyond;
  }

  /** The same for as long as programs hold the same places beyond loopback. */
  get markBeyond(): string {
    return this.#places.mark;
  }

  /** Ports held on `::` and not on 0.0.0.0, which may be held over IPv4 or not; such as 8080/tcp. */
  get onSixWildcard(): ReadonlySet<string> {
    return this.#places.onSix;
  }

  /** As this one, but that these ports' `::` takes IPv6 alone. */
  withSixOnly(ports: Iterable<string>): ListenerTable {
    return new ListenerTable(this.#places, this.tables, ports);
  }
}

/**
 * Parses the text of one of the four files. Lines that are not understood are passed over. `complete` is false when, in
 * a TCP table, a socket that does not listen has come: the kernel lists all listeners before them.
 */
export function parseListeners(text: string, protocol: Protocol): { listeners: Listener[]; complete: boolean } {
  const listeners: Listener[] = [];
  // "  sl  local_address rem_address   st ...": number, colon, address:port, address:port, state, queues, timer, retransmits, uid; all but the last hexadecimal.
  const form =
    /^\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) [0-9A-F:]+ [0-9A-F:]+ [0-9A-F]+ +(\d+) /gm;
  for (const [, address = '', port = '', state, uid] of text.matchAll(form)) {
    if (state === TAKING[protocol]) {
      const place = { protocol, address: textAddress(networkOrder(address)), port: Number.parseInt(port, 16) };
      listeners.push({ ...place, uid: Number(uid) });
    } else if (protocol === 'tcp') {
      return { listeners, complete: false };
    }
  }
  return { listeners, complete: true };
}

const FILES: readonly { readonly path: string; readonly protocol: Protocol }[] = [
  { path: '/proc/net/tcp', protocol: 'tcp' },
  { path: '/proc/net/tcp6', protocol: 'tcp' },
  { path: '/proc/net/udp', protocol: 'udp' },
  { path: '/proc/net/udp6', protocol: 'udp' },
];

/** Told of the ports where services' programs are expected, such as 8080/tcp. */
export type TableReader = (used: Pick<ReadonlySet<string>, 'has'>) => Promise<ListenerTable | undefined>;

/**
 * Reads what listens now, but for the agent's own listeners, which are no program's; undefined where there is no such table, as on other systems than Linux. Throws the system's error
 * when the table is there and could not be read, for want of a file, and its own when what it read is not all: that tells nothing
 * of who listens.
 */
export async function readListenerTable(
  isOwn: (listener: Listener) => boolean = () => false,
  openFile: typeof open = open,
): Promise<ListenerTable | undefined> {
  const places = new ListenerPlaces();
  const take = (listener: Listener) => {
    if (!isOwn(listener)) places.add(listener);
  };
  const isShown = await Promise.all(FILES.map(({ path, protocol }) => readListeners(openFile, path, protocol, take)));
  // Without IPv6 its two files are missing, and nothing listens there.
  if (isShown[0] === false) return undefined;
  return new ListenerTable(places, isShown.filter((shown) => shown).length);
}

/** What the system says where it has no such file, or shows it to nobody. */
const ABSENT: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM']);

/** Read piece by piece and no further than the listeners: a busy host has 100,000 connections behind them. False where it is not shown. */
async function readListeners(
  openFile: typeof open,
  path: string,
  protocol: Protocol,
  take: (listener: Listener) => void,
): Promise<boolean> {
  const file = await openFile(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== undefined && ABSENT.has(cause.code)) return undefined;
    throw cause;
  });
  if (file === undefined) return false;
  try {
    const buffer = Buffer.allocUnsafe(64 * 1024);
    let rest = '';
    let headed = false;
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      const text = rest + buffer.toString('latin1', 0, bytesRead);
      const end = bytesRead === 0 ? text.length : text.lastIndexOf('\n') + 1;
      // The kernel heads each table, and ends each line.
      headed ||= /^ +sl .*\n/.test(text);
      if (bytesRead === 0 ? !headed || text !== '' : !headed && end > 0) throw new Error(`${path} is cut short`);
      const { listeners, complete } = parseListeners(text.slice(0, end), protocol);
      for (const listener of listeners) take(listener);
      if (bytesRead === 0 || !complete) return true;
      rest = text.slice(end);
    }
  } finally {
    await file.close();
  }
}
