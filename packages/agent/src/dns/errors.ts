/** Why the DNS server could not start. */

export class DnsListenError extends Error {
  override readonly name = 'DnsListenError';
  readonly code: 'dns-port-taken' | 'dns-port-privileged' | 'dns-listen-failed';

  constructor(host: string, port: number, cause: unknown) {
    const reason = codeOf(cause);
    const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    const code =
      reason === 'EADDRINUSE' ? 'dns-port-taken' : reason === 'EACCES' ? 'dns-port-privileged' : 'dns-listen-failed';
    const advice = {
      'dns-port-taken': 'another program has it; choose another with --dns HOST:PORT',
      'dns-port-privileged': 'this user may not take it; choose a port from 1024 on with --dns HOST:PORT',
      'dns-listen-failed': `${reason ?? String(cause)}; choose another address with --dns HOST:PORT`,
    }[code];
    super(`cannot answer DNS at ${address}: ${advice}`, { cause });
    this.code = code;
  }
}

/** The `code` of a system error. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
