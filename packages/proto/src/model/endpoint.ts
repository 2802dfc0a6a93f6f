/** HOST:PORT as it is written: a name, an IPv4 address, or an IPv6 address in brackets. */
import { addressKind, isIPv6, isLoopback, normalHost } from './address.ts';

export interface HostPort {
  /** Without brackets. */
  readonly host: string;
  /** 1 to 65535, or 0 where any free port is meant. */
  readonly port: number;
}

const form = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?)):(\d{1,5})$/;

/** The parts of HOST:PORT, or undefined when the text is none. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = form.exec(text);
  if (match === null) return undefined;
  const [, bracketed, plain, digits] = match;
  const port = Number(digits);
  if (port > 65_535 || (bracketed !== undefined && !isIPv6(bracketed))) return undefined;
  return { host: bracketed ?? plain ?? '', port };
}

/** Whether HOST:PORT is of the host that follows it. */
export function leadsToLoopback(address: string): boolean {
  return isLoopback(parseHostPort(address)?.host ?? '');
}

/** HOST:PORT, with brackets around an IPv6 address. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * An agent's endpoint in its one form; undefined for one that its peers must not dial, seen from where control sees the agent: a member
 * gone bad would have them knock at their own ports, at VIPs, where they count as local, or at their cloud's metadata.
 */
export function dialableEndpoint(endpoint: string, observedHost: string): string | undefined {
  const { host = '', port = 0 } = parseHostPort(endpoint) ?? {};
  const normal = normalHost(host);
  if (port === 0 || normal === undefined) return undefined;
  const kind = addressKind(normal);
  const within = kind === addressKind(observedHost) && kind !== 'vip' && kind !== 'unusable';
  return kind === 'outside' || kind === 'name' || within ? formatHostPort(normal, port) : undefined;
}
