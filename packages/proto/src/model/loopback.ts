/** What is this machine itself, and whether a browser that came to a port of it meant to. */
import { normalHost } from './address.ts';
import { isIP, isIPv4 } from './ip.ts';

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/** Listening on every address. */
const ANY: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/**
 * Whether a request with this Host header may be answered by a server that listens on `listening`; `arrived` is the address
 * that it came to, for one that listens on every address. A page of another site
 * can have its own name point at 127.0.0.1 and then read this port as its own (DNS rebinding). On loopback only loopback's
 * names are right; on another address the name that people use is not known, but an attacker who can reach it needs no such
 * trick.
 */
export function knowsHost(listening: string, header: string | undefined, arrived?: string): boolean {
  const own = normalHost(listening) ?? listening;
  const at = ANY.has(own) && arrived !== undefined ? normalHost(arrived) : own;
  if (at === undefined || !isLoopback(at)) return true;
  const name =
    header
      ?.replace(/:\d{1,5}$/, '')
      .replace(/^\[(.*)\]$/, '$1')
      .toLowerCase() ?? '';
  return isLoopback(name) && (name === 'localhost' || isIP(name) > 0);
}
