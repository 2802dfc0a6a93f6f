/** Where a service's program is expected on this host, by the agent file. */
import { isIPv4 } from 'node:net';
import { isOwnAddress, type Protocol } from '@weft/proto';
import type { AgentService, AgentTarget } from '../config/agent-file.ts';

export interface TargetAddress {
  /** IP address. */
  readonly host: string;
  readonly port: number;
}

/** In the order to try: what the agent file says for the port, else 127.0.0.1, then ::1. */
export function targetsOf(service: AgentService, port: number, protocol: Protocol): readonly TargetAddress[] {
  const { host, targetPort } = written(service, port, protocol) ?? { host: 'localhost', targetPort: port };
  const hosts = host === 'localhost' || isWildcard(host) ? ['127.0.0.1', '::1'] : [host];
  return hosts.map((address) => ({ host: address, port: targetPort }));
}

/** Where the agent file says that the program listens: on one address, on every one (0.0.0.0 or ::), or it does not say. */
export function writtenListening(
  service: AgentService,
  port: number,
  protocol: Protocol,
): 'specific' | 'wildcard' | undefined {
  const host = written(service, port, protocol)?.host;
  if (host === undefined || host === 'localhost') return undefined;
  return isWildcard(host) ? 'wildcard' : 'specific';
}

function written(service: AgentService, port: number, protocol: Protocol): AgentTarget | undefined {
  const of = (transport: Protocol | 'any') =>
    service.targets.find((target) => target.port === port && target.protocol === transport);
  return of(protocol) ?? of('any');
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

export function isLoopback(host: string): boolean {
  return host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/**
 * Whether a connection to this host can be made from a caller's address: the kernel routes such a source, within the host,
 * to this machine's own IPv4 addresses only.
 */
export function takesCallerAddress(host: string): boolean {
  return isIPv4(host) && (host.startsWith('127.') || isOwnAddress(host));
}

export function formatTarget({ host, port }: TargetAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
