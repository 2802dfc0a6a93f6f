/** Ports and addresses as both files write them. Each parser answers with a sentence when it cannot read its input. */
import {
  FormatError,
  type HostPort,
  isIP,
  type PortRange,
  type Protocol,
  parsePort as parseRange,
  parseRulePorts as parseRuleRange,
  type RulePorts,
  parseHostPort as splitHostPort,
} from '@weft/proto';
import { expected } from './schema.ts';

/** Reads 6379, "6379", "8125/udp", "5000-5010/tcp". Without a transport it is TCP. */
export function parsePorts(input: unknown): PortRange | string {
  return read(input, parseRange);
}

/** The same of a rule: without a transport it is both. */
export function parseRulePorts(input: unknown): RulePorts | string {
  return read(input, parseRuleRange);
}

function read<Ports>(input: unknown, parse: (input: string | number) => Ports): Ports | string {
  if (typeof input !== 'number' && typeof input !== 'string') {
    return expected('a port such as 6379, 8125/udp or 5000-5010/tcp', input);
  }
  try {
    return parse(input);
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

/** Reads a resolver: 10.0.0.2, 10.0.0.2:5353, fe80::1%eth0 or [::1]:5353. Its port is 53 unless it says another. */
export function parseResolver(input: unknown): HostPort | string {
  const what = 'the address of a resolver, such as 10.0.0.2 or 10.0.0.2:5353';
  if (typeof input !== 'string') return expected(what, input);
  if (isIP(input) !== 0) return { host: input, port: 53 };
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(input);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  return isIP(host) !== 0 && port >= 1 && port <= 65_535 ? { host, port } : expected(what, input);
}
