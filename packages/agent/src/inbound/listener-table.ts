/**
 * What listens on this host, read from Linux's /proc/net/{tcp,tcp6,udp,udp6} (proc_net_tcp(5)): the programs' ports are
 * seen without a connection into any of them.
 */
import { open } from 'node:fs/promises';
import type { Protocol } from '@weft/proto';

/** A bound socket: one that listens (TCP), or one that takes datagrams from anybody (UDP). */
export interface Listener {
  readonly protocol: Protocol;
  /** `127.0.0.1`, `0.0.0.0`, `::1`, `::`, or any other in the same form. */
  readonly address: string;
  readonly port: number;
}

/** The listeners' part of one of the kernel's tables. */
export interface ListenerText {
  readonly protocol: Protocol;
  readonly text: string;
}

/**
 * Every address that something listens on, by protocol and port. A table that was read stays text until a port is asked
 * for: it is read each second, the agent alone listens on thousands of places, and few ports are of any interest.
 */
export class ListenerTable {
  readonly #byPort = new Map<string, Set<string>>();
  readonly #texts: readonly ListenerText[];

  constructor(listeners: Iterable<Listener>, texts: readonly ListenerText[] = []) {
    this.#texts = texts;
    for (const { protocol, port, address } of listeners) {
      const key = `${port}/${protocol}`;
      const addresses = this.#byPort.get(key);
      if (addresses === undefined) this.#byPort.set(key, new Set([address]));
      else addresses.add(address);
    }
  }

  /** Whether a connection to this address and port would find a listener; a wildcard takes those of its family. */
  answers(protocol: Protocol, host: string, port: number): boolean {
    const addresses = this.#addresses(protocol, port);
    if (addresses.has(host) || addresses.has('::')) return true;
    return !host.includes(':') && addresses.has('0.0.0.0');
  }

  /** Whether something holds the port on every address. */
  hasWildcard(protocol: Protocol, port: number): boolean {
    const addresses = this.#addresses(protocol, port);
    return addresses.has('0.0.0.0') || addresses.has('::');
  }

  #addresses(protocol: Protocol, port: number): ReadonlySet<string> {
    const key = `${port}/${protocol}`;
    let addresses = this.#byPort.get(key);
    if (addresses === undefined) {
      const found = this.#texts.filter((each) => each.protocol === protocol).flatMap((each) => listenersAt(each, port));
      addresses = new Set(found.map(({ address }) => address));
      this.#byPort.set(key, addresses);
    }
    return addresses;
  }
}

/** TCP_LISTEN, and for UDP TCP_CLOSE, which there means bound and not connected (net/tcp_states.h). */
const STATE: Readonly<Record<Protocol, string>> = { tcp: '0A', udp: '07' };

// "  sl  local_address rem_address   st ...": number, colon, address:port, address:port, state; all hexadecimal.
const LINE = /^\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) /;
const CONNECTION = /^\s*\d+: [0-9A-F]+:[0-9A-F]{4} [0-9A-F]+:[0-9A-F]{4} (?!0A)[0-9A-F]{2} /m;

/**
 * The part of a table's text that holds listeners. `complete` is false when, in a TCP table, a socket that does not listen
 * has come: the kernel lists all listeners before them.
 */
export function listenersPart(text: string, protocol: Protocol): { part: string; complete: boolean } {
  const end = protocol === 'tcp' ? text.search(CONNECTION) : -1;
  return end < 0 ? { part: text, complete: true } : { part: text.slice(0, end), complete: false };
}

/** Who listens on the port. Lines that are not understood are passed over. */
export function listenersAt({ protocol, text }: ListenerText, port: number): Listener[] {
  const listeners: Listener[] = [];
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
    const begin = text.lastIndexOf('\n', at) + 1;
    const [, address = '', local = '', state] = LINE.exec(text.slice(begin, at + LONGEST_HEAD)) ?? [];
    // A port of the other end stands in the same form.
    if (state !== STATE[protocol] || `:${local} ` !== wanted) continue;
    listeners.push({ protocol, address: formatKernelAddress(address), port });
  }
  return listeners;
}

/** From a line's local port to behind its state: an IPv6 address, a port and what is between. */
const LONGEST_HEAD = 64;

/** Addresses are printed as 32-bit words in the host's own byte order, which on every Linux that Node runs on but s390x is little-endian. */
function formatKernelAddress(hex: string): string {
  const bytes: number[] = [];
  for (let word = 0; word < hex.length; word += 8) {
    for (let octet = 6; octet >= 0; octet -= 2)
      bytes.push(Number.parseInt(hex.slice(word + octet, word + octet + 2), 16));
  }
  if (bytes.length === 4) return bytes.join('.');
  const first10AreZero = bytes.slice(0, 10).every((byte) => byte === 0);
  // ::ffff:a.b.c.d is an IPv6 socket that serves one IPv4 address.
  if (first10AreZero && bytes[10] === 255 && bytes[11] === 255) return bytes.slice(12).join('.');
  if (first10AreZero && bytes.slice(10, 15).every((byte) => byte === 0)) {
    if (bytes[15] === 0) return '::';
    if (bytes[15] === 1) return '::1';
  }
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((bytes[2 * index] ?? 0) << 8) | (bytes[2 * index + 1] ?? 0)).toString(16),
  );
  return groups.join(':');
}

const FILES: readonly { readonly path: string; readonly protocol: Protocol }[] = [
  { path: '/proc/net/tcp', protocol: 'tcp' },
  { path: '/proc/net/tcp6', protocol: 'tcp' },
  { path: '/proc/net/udp', protocol: 'udp' },
  { path: '/proc/net/udp6', protocol: 'udp' },
];

/** Reads what listens now; undefined where there is no such table, as on other systems than Linux. */
export async function readListenerTable(): Promise<ListenerTable | undefined> {
  const tables = await Promise.all(FILES.map(({ path, protocol }) => readListeners(path, protocol)));
  // Without IPv6 its two files are missing, and nothing listens there.
  if (tables[0] === undefined) return undefined;
  return new ListenerTable(
    [],
    tables.flatMap((table) => table ?? []),
  );
}

/** Read piece by piece and no further than the listeners: a busy host has 100,000 connections behind them. */
async function readListeners(path: string, protocol: Protocol): Promise<ListenerText | undefined> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    let found = '';
    const buffer = Buffer.allocUnsafe(64 * 1024);
    let rest = '';
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      const text = rest + buffer.toString('latin1', 0, bytesRead);
      const end = bytesRead === 0 ? text.length : text.lastIndexOf('\n') + 1;
      const { part, complete } = listenersPart(text.slice(0, end), protocol);
      found += part;
      if (bytesRead === 0 || !complete) return { protocol, text: found };
      rest = text.slice(end);
    }
  } finally {
    await file.close();
  }
}
