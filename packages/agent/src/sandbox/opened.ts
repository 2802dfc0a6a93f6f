/** What a program in a sandbox listens on, as its supervisor reads it in the kernel's tables. */
import { includesPort, type PortRange, type Protocol, type Service, unitedPorts } from '@weft/proto';
import type { ServingPlace } from './inside.ts';
import { PROGRAM_HOST } from './link.ts';

/** By which address each is reached; the key is such as `tcp 8080`. */
export type OpenedPorts = ReadonlyMap<string, ServingPlace['host']>;

export const NOTHING_OPENED: OpenedPorts = new Map();

/** In the kernel's order of bytes. */
const LOOPBACK = '0100007f';
/** PROGRAM_HOST. */
const WIRE = '020000c0';
const LOOPBACK_SIX = '00000000000000000000000001000000';
/** ::ffff:127.0.0.1 and its like. */
const MAPPED = /^0000000000000000ffff0000([0-9a-f]{8})$/;

/**
 * `tcp:0100007f:8080,udp:00000000:53`; `%` for none. What listens on every address is reached by 127.0.0.1, for datagrams by its end of the wire; else by the one that it is on: 127.0.0.1,
 * the wire's or ::1. On any other, by nobody.
 */
export function readOpened(text: string): OpenedPorts {
  const opened = new Map<string, ServingPlace['host']>();
  for (const entry of text === '%' ? [] : text.split(',')) {
    const [protocol = '', address = '', port = ''] = entry.split(':');
    if (!/^(?:tcp|udp)$/.test(protocol) || !/^\d{1,5}$/.test(port)) continue;
    const key = `${protocol} ${Number(port)}`;
    const host = reachedBy(address, protocol);
    // IPv4 goes first: there callers have addresses of their own.
    if (host !== undefined && opened.get(key) !== '127.0.0.1') opened.set(key, host);
  }
  return opened;
}

/** From which the kernel takes ports for who calls (`net.ipv4.ip_local_port_range`); perl/network.ts sets it. */
const EPHEMERAL = { first: 32_768, last: 60_999 } as const;

/**
 * Those that may be published without being declared, at the service's ports. `moved` has declared ports that are served at others. A UDP socket
 * at a port of the kernel's choice is as likely one that calls, and nobody can tell.
 */
export function publishedPorts(opened: OpenedPorts, moved: ReadonlyMap<number, number>): PortRange[] {
  const elsewhere = new Set([...moved].flat());
  return [...opened.keys()].flatMap((key): PortRange[] => {
    const [protocol, text] = key.split(' ') as [Protocol, string];
    const port = Number(text);
    const calls = protocol === 'udp' && port >= EPHEMERAL.first && port <= EPHEMERAL.last;
    return calls || elsewhere.has(port) ? [] : [{ protocol, first: port, last: port }];
  });
}

/** Ports of the service that are served by what is open: declared ones, and where it says so those that are published. */
export function servedPorts(
  opened: OpenedPorts,
  moved: ReadonlyMap<number, number>,
  { ports, autoPorts }: Pick<Service, 'ports' | 'autoPorts'>,
): readonly PortRange[] {
  const isDeclared = ({ protocol, first }: PortRange) => includesPort(ports, first, protocol);
  const declared = [...opened.keys()].flatMap((key): PortRange[] => {
    const [protocol, text] = key.split(' ') as [Protocol, string];
    const inside = Number(text);
    const called = [inside, ...[...moved].flatMap(([port, at]) => (at === inside ? port : []))];
    return called
      .filter((port) => (moved.get(port) ?? port) === inside)
      .map((port) => ({ protocol, first: port, last: port }))
      .filter(isDeclared);
  });
  const published = autoPorts === true ? publishedPorts(opened, moved).filter((range) => !isDeclared(range)) : [];
  return unitedPorts([...declared, ...published]);
}

function reachedBy(address: string, protocol: string): ServingPlace['host'] | undefined {
  const four = MAPPED.exec(address)?.[1] ?? address;
  // A socket of every address answers datagrams from the one that leads to who asked: its end of the wire.
  if (/^0+$/.test(address)) return protocol === 'udp' ? PROGRAM_HOST : '127.0.0.1';
  if (four === LOOPBACK) return '127.0.0.1';
  if (four === WIRE) return PROGRAM_HOST;
  return address === LOOPBACK_SIX ? '::1' : undefined;
}
