/** Endpoints as they are written: HOST:PORT, an IPv6 address in brackets. */
import { hostInterfaces } from '@weft/proto';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Undefined when the text is no endpoint. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port < 1 || port > 65_535) return undefined;
  return { host, port };
}

function formatEndpoint(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Where peers may try this agent: the address it listens on, or every address of its interfaces when it listens on all, those
 * within the host only where none leaves it: a host without a network still has its own agents to talk to. IPv6 addresses only
 * where the listener takes them; link-local ones never.
 */
export function localEndpoints(listenHost: string, port: number): string[] {
  if (!isWildcard(listenHost)) return [formatEndpoint(listenHost, port)];
  const { outside, inside } = ownAddresses(listenHost, hostInterfaces() ?? {});
  return (outside.length > 0 ? outside : inside).map((address) => formatEndpoint(address, port));
}

/**
 * Whether other hosts may find what listens so; what listens on one address is its owner's choice. Undefined where the host's
 * addresses could not be looked at.
 */
export function leavesHost(listenHost: string, look: typeof hostInterfaces = hostInterfaces): boolean | undefined {
  if (!isWildcard(listenHost)) return true;
  const interfaces = look();
  return interfaces && ownAddresses(listenHost, interfaces).outside.length > 0;
}

function isWildcard(listenHost: string): boolean {
  return listenHost === '0.0.0.0' || listenHost === '::' || listenHost === '';
}

function ownAddresses(
  listenHost: string,
  interfaces: NonNullable<ReturnType<typeof hostInterfaces>>,
): { readonly outside: string[]; readonly inside: string[] } {
  const outside: string[] = [];
  const inside: string[] = [];
  for (const addresses of Object.values(interfaces)) {
    for (const { address, family, internal } of addresses ?? []) {
      if (family === 'IPv6' && (listenHost === '0.0.0.0' || address.startsWith('fe80:'))) continue;
      (internal ? inside : outside).push(address);
    }
  }
  return { outside, inside };
}
