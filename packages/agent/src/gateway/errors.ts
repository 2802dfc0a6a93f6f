/** What goes wrong at the gateway. */
import type { FlowOutcome } from '@weft/proto';

export class GatewayListenError extends Error {
  override readonly name = 'GatewayListenError';
  readonly code: 'gateway-port-taken' | 'gateway-port-privileged' | 'gateway-listen-failed';

  constructor(host: string, port: number, cause: unknown) {
    const reason = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    const code =
      reason === 'EADDRINUSE'
        ? 'gateway-port-taken'
        : reason === 'EACCES'
          ? 'gateway-port-privileged'
          : 'gateway-listen-failed';
    const advice = {
      'gateway-port-taken': 'another program has it; set another in gateway.http',
      'gateway-port-privileged': 'this user may not take it; set a port from 1024 on in gateway.http',
      'gateway-listen-failed': `${String(reason ?? cause)}; set another address in gateway.http`,
    }[code];
    super(`the gateway cannot listen at ${address}: ${advice}`, { cause });
    this.code = code;
  }
}

/** No connection to the service stands, and why. */
export class IngressError extends Error {
  override readonly name = 'IngressError';
  readonly code: FlowOutcome | 'timeout' | 'client-gone';

  constructor(code: FlowOutcome | 'timeout' | 'client-gone', options?: ErrorOptions) {
    super(`no connection to the service: ${code}`, options);
    this.code = code;
  }
}

/** A conduit ended by a reset, as a socket's error would say it. */
export class ConduitResetError extends Error {
  override readonly name = 'ConduitResetError';
  readonly code = 'ECONNRESET';

  constructor(options?: ErrorOptions) {
    super('the flow was reset', options);
  }
}
