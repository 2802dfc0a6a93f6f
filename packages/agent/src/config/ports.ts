/** Ports and addresses as both files write them. Each parser answers with a sentence when it cannot read its input. */
import {
  FormatError,
  type HostPort,
  type PortRange,
  type Protocol,
  parsePort as parseRange,
  parseHostPort as splitHostPort,
} from '@weft/proto';
import { expected } from './schema.ts';

/** Reads 6379, "6379", "8125/udp", "5000-5010/tcp". Without a transport it is TCP. */
export function parsePorts(input: unknown): PortRange | string {
  if (typeof input !== 'number' && typeof input !== 'string') {
    return expected('a port such as 6379, 8125/udp or 5000-5010/tcp', input);
  }
  try {
    return parseRange(input);
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
}

/** Reads one port: as parsePorts, but no range. */
export function parsePort(input: unknown): { port: number; protocol: Protocol } | string {
  const range = parsePorts(input);
  if (typeof range === 'string') return range;
  if (range.first !== range.last) return expected('one port, such as 6379 or 8125/udp', input);
  return { port: range.first, protocol: range.protocol };
}

/** Reads 127.0.0.1:6379, [::1]:6379 and name:6379. Port 0 asks the system for a free one where `free` allows it. */
export function parseHostPort(input: unknown, free: 'no-free-port' | 'free-port' = 'no-free-port'): HostPort | string {
  const address = typeof input === 'string' ? splitHostPort(input) : undefined;
  if (address === undefined) return expected('HOST:PORT, such as 127.0.0.1:6379 or [::1]:6379', input);
  return address.port === 0 && free === 'no-free-port' ? 'expected a port from 1 to 65535, found 0' : address;
}
