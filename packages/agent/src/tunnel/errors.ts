/** No tunnel to the peer could be made, or none carried the request, in time. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
  readonly code: 'unknown-peer' | 'no-endpoint' | 'connect-failed' | 'no-file' | 'timeout' | 'tunnel-lost' | 'closed';

  constructor(code: UnreachableError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Why a tunnel ended; the cause of the resets of what was in it. */
export class TunnelEndedError extends Error {
  override readonly name = 'TunnelEndedError';
  readonly code: 'closed' | 'dead' | 'revoked' | 'violation' | 'failed' | 'idle' | 'shutdown';

  constructor(code: TunnelEndedError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The flow that a tunnel was asked for was cut here: its peer is left to hear of that by itself before the flow is let go of. */
export class FlowCutError extends Error {
  override readonly name = 'FlowCutError';
  readonly code = 'cut';
}
