/** What a program in a sandbox listens on, as its supervisor reads it in the kernel's tables, and what of it is called. */
import {
  CALLING_PORTS,
  includesPort,
  LEAST_OPENED_PORT,
  type PortRange,
  type Protocol,
  type Service,
  unitedPorts,
} from '@weft/proto';
import type { ServingPlace } from './inside.ts';
import { PROGRAM_HOST } from './link.ts';

export interface OpenedPort {
  /** By which address it is reached. */
  readonly host: ServingPlace['host'];
  /** Not at an address of loopback alone. */
  readonly beyondLoopback: boolean;
}

/** The key is such as `tcp 8080`. */
export type OpenedPorts = ReadonlyMap<string, OpenedPort>;

/** Declared ports, and those inside at which they are served. Both transports. */
export type MovedPorts = ReadonlyMap<number, number>;

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
  const opened = new Map<string, OpenedPort>();
  for (const entry of text === '%' ? [] : text.split(',')) {
    const [protocol = '', address = '', port = ''] = entry.split(':');
    if (!/^(?:tcp|udp)$/.test(protocol) || !isPort(port)) continue;
    const key = `${protocol} ${Number(port)}`;
    const found = reachedBy(address, protocol);
    if (found === undefined) continue;
    const before = opened.get(key);
    // IPv4 goes first: there callers have addresses of their own.
    const host = before?.host === '127.0.0.1' ? before.host : found.host;
    opened.set(key, { host, beyondLoopback: found.beyondLoopback || before?.beyondLoopback === true });
  }
  return opened;
}

/**
 * Where the service's port is served: a declared one where it is or has moved to, any other only where it is published. So no port is reached that is not listed,
 * and none by the number that it has inside.
 */
export function placeIn(
  opened: OpenedPorts,
  moved: MovedPorts,
  { ports, autoPorts }: Pick<Service, 'ports' | 'autoPorts'>,
  port: number,
  protocol: Protocol,
): ServingPlace | undefined {
  const declared = includesPort(ports, port, protocol);
  if (!declared && !(autoPorts === true && isPublished(opened, moved, port, protocol))) return undefined;
  const inside = declared ? (moved.get(port) ?? port) : port;
  const found = opened.get(`${protocol} ${inside}`);
  return found === undefined ? undefined : { host: found.host, port: inside };
}

/** Those that are published without being declared, one a range. */
export function publishedPorts(opened: OpenedPorts, moved: MovedPorts): PortRange[] {
  return singlePorts(opened).filter(({ protocol, first }) => isPublished(opened, moved, first, protocol));
}

/** Ports of the service that are served by what is open. */
export function servedPorts(
  opened: OpenedPorts,
  moved: MovedPorts,
  service: Pick<Service, 'ports' | 'autoPorts'>,
): readonly PortRange[] {
  const called = singlePorts(opened).flatMap((range) => [
    range,
    ...[...moved].flatMap(([port, at]) => (at === range.first ? { ...range, first: port, last: port } : [])),
  ]);
  return unitedPorts(
    called.filter(({ protocol, first }) => placeIn(opened, moved, service, first, protocol) !== undefined),
  );
}

/** Whether what is open there may be called without being declared. What listens on loopback alone, such as a debugger, was not meant for others. */
function isPublished(opened: OpenedPorts, moved: MovedPorts, port: number, protocol: Protocol): boolean {
  if (port < LEAST_OPENED_PORT || includesPort([CALLING_PORTS], port, protocol)) return false;
  for (const [called, inside] of moved) if (port === called || port === inside) return false;
  return opened.get(`${protocol} ${port}`)?.beyondLoopback === true;
}

/** What is no port is none that anybody may be told of: control refuses the report that has it. */
function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535;
}

function singlePorts(opened: OpenedPorts): PortRange[] {
  return [...opened.keys()].map((key) => {
    const [protocol, port] = key.split(' ') as [Protocol, string];
    return { protocol, first: Number(port), last: Number(port) };
  });
}

function reachedBy(address: string, protocol: string): OpenedPort | undefined {
  const four = MAPPED.exec(address)?.[1] ?? address;
  // A socket of every address answers datagrams from the one that leads to who asked: its end of the wire.
  if (/^0+$/.test(address)) return { host: protocol === 'udp' ? PROGRAM_HOST : '127.0.0.1', beyondLoopback: true };
  if (four === LOOPBACK) return { host: '127.0.0.1', beyondLoopback: false };
  if (four === WIRE) return { host: PROGRAM_HOST, beyondLoopback: true };
  return address === LOOPBACK_SIX ? { host: '::1', beyondLoopback: false } : undefined;
}
