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
 * Where peers may try this agent: the address it listens on, or every address of its interfaces when it listens on all,
 * the ones that leave the host first. IPv6 addresses only where the listener takes them; link-local ones never.
 */
export function localEndpoints(listenHost: string, port: number): string[] {
  const wildcard = listenHost === '0.0.0.0' || listenHost === '::' || listenHost === '';
  if (!wildcard) return [formatEndpoint(listenHost, port)];
  const outside: string[] = [];
  const inside: string[] = [];
  for (const addresses of Object.values(hostInterfaces())) {
    for (const { address, family, internal } of addresses ?? []) {
      if (family === 'IPv6' && (listenHost === '0.0.0.0' || address.startsWith('fe80:'))) continue;
      (internal ? inside : outside).push(formatEndpoint(address, port));
    }
  }
  // A host without a network still has its own agents to talk to.
  return outside.length > 0 ? outside : inside;
}
