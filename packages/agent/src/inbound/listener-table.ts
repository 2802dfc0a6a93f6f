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

/** Every address that something listens on, by protocol and port. */
export class ListenerTable {
  /** By address, users who made the sockets there. */
  readonly #byPort = new Map<string, Map<string, readonly number[]>>();
  /** Ports whose `::` takes IPv6 alone; the key is such as 8080/tcp. */
  readonly #sixOnly: ReadonlySet<string>;
  /** Of how many of the kernel's tables it is made. */
  readonly tables: number;

  constructor(listeners: Iterable<Listener>, tables = FILES.length, sixOnly: Iterable<string> = []) {
    this.tables = tables;
    this.#sixOnly = new Set(sixOnly);
    for (const { protocol, port, address, uid } of listeners) {
      const at = entryOf(this.#byPort, `${port}/${protocol}`, () => new Map<string, readonly number[]>());
      const users = at.get(address) ?? [];
      at.set(address, uid === undefined || users.includes(uid) ? users : [...users, uid]);
    }
  }

  /** Whether a connection to this address and port would find a listener; a wildcard takes those of its family. */
  answers(protocol: Protocol, host: string, port: number): boolean {
    const addresses = this.#byPort.get(`${port}/${protocol}`);
    if (addresses === undefined) return false;
    if (addresses.has(host)) return true;
    return host.includes(':') ? addresses.has('::') : this.hasWildcard(protocol, port);
  }

  /**
   * Users of who takes what comes to this address and port, as the kernel chooses: who is on the address itself, else who is on every one. None of another host's
   * address, which is taken there, whoever has the port on every address here.
   */
  users(protocol: Protocol, host: string, port: number): readonly number[] {
    const at = this.#byPort.get(`${port}/${protocol}`);
    if (at === undefined || !isOnThisHost(host)) return [];
    if (host.includes(':')) return at.get(textAddress(networkAddress(host))) ?? at.get('::') ?? [];
    return at.get(host) ?? at.get('0.0.0.0') ?? (this.hasWildcard(protocol, port) ? at.get('::') : undefined) ?? [];
  }

  /** Whether something holds the port on every IPv4 address, which those of the services are. */
  hasWildcard(protocol: Protocol, port: number): boolean {
    const key = `${port}/${protocol}`;
    const addresses = this.#byPort.get(key);
    return addresses !== undefined && (addresses.has('0.0.0.0') || (addresses.has('::') && !this.#sixOnly.has(key)));
  }

  /** Addresses of this host, none of them of loopback, on which a program holds the port. */
  outside(protocol: Protocol, port: number): readonly string[] {
    return this.beyondLoopback(protocol, port).filter((address) => !isWildcard(address));
  }

  /** As these, and the wildcards; in order. */
  beyondLoopback(protocol: Protocol, port: number): readonly string[] {
    return [...(this.#byPort.get(`${port}/${protocol}`)?.keys() ?? [])]
      .filter((address) => !isLoopback(address))
      .sort(byText);
  }

  /** All that programs hold beyond loopback, in order. */
  allBeyondLoopback(): readonly Listener[] {
    const found: Listener[] = [];
    for (const [key, addresses] of this.#byPort) {
      const [port, protocol] = key.split('/');
      for (const address of addresses.keys())
        if (!isLoopback(address))
          found.push({ protocol: protocol === 'udp' ? 'udp' : 'tcp', address, port: Number(port) });
    }
    return found.sort((one, other) => byText(keyOf(one), keyOf(other)));
  }

  /** Ports held on `::` and not on 0.0.0.0, which may be held over IPv4 or not; the keys are such as 8080/tcp. */
  onSixWildcard(): ReadonlyMap<string, Pick<Listener, 'port' | 'protocol'>> {
    const found = new Map<string, Pick<Listener, 'port' | 'protocol'>>();
    for (const [key, addresses] of this.#byPort) {
      if (!addresses.has('::') || addresses.has('0.0.0.0')) continue;
      const [port, protocol] = key.split('/');
      found.set(key, { port: Number(port), protocol: protocol === 'udp' ? 'udp' : 'tcp' });
    }
    return found;
  }

  /** As this one, but that these ports' `::` takes IPv6 alone. */
  withSixOnly(ports: Iterable<string>): ListenerTable {
    const marked = new ListenerTable([], this.tables, ports);
    for (const [key, addresses] of this.#byPort) marked.#byPort.set(key, addresses);
    return marked;
  }
}

function keyOf({ protocol, address, port }: Listener): string {
  return `${protocol} ${address} ${port}`;
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

/**
 * Reads what listens now, but for the agent's own listeners, which are no program's; undefined where there is no such table, as on other systems than Linux. Throws the system's error
 * when the table is there and could not be read, for want of a file, and its own when what it read is not all: that tells nothing
 * of who listens.
 */
export async function readListenerTable(
  isOwn: (listener: Listener) => boolean = () => false,
  openFile: typeof open = open,
): Promise<ListenerTable | undefined> {
  const tables = await Promise.all(FILES.map(({ path, protocol }) => readListeners(openFile, path, protocol)));
  // Without IPv6 its two files are missing, and nothing listens there.
  if (tables[0] === undefined) return undefined;
  return new ListenerTable(
    tables.flatMap((listeners) => listeners ?? []).filter((listener) => !isOwn(listener)),
    tables.filter((listeners) => listeners !== undefined).length,
  );
}

/** What the system says where it has no such file, or shows it to nobody. */
const ABSENT: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM']);

/** Read piece by piece and no further than the listeners: a busy host has 100,000 connections behind them. */
async function readListeners(openFile: typeof open, path: string, protocol: Protocol): Promise<Listener[] | undefined> {
  const file = await openFile(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== undefined && ABSENT.has(cause.code)) return undefined;
    throw cause;
  });
  if (file === undefined) return undefined;
  try {
    const found: Listener[] = [];
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
      found.push(...listeners);
      if (bytesRead === 0 || !complete) return found;
      rest = text.slice(end);
    }
  } finally {
    await file.close();
  }
}
