/** What goes wrong at the gateway. */
import type { FlowOutcome } from '@weft/proto';

/**
 * `hung-up`: the service closed the connection in order, and had answered nothing. `garbled`: what it answered is no HTTP. `coded`: its answer is in a
 * transfer coding that the gateway does not undo.
 */
type IngressFailure = FlowOutcome | 'timeout' | 'client-gone' | 'hung-up' | 'garbled' | 'coded';

/** No connection to the service stands, and why. */
export class IngressError extends Error {
  override readonly name = 'IngressError';
  readonly code: IngressFailure;

  constructor(code: IngressFailure, options?: ErrorOptions) {
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

/** Whether node's client says by this error that the connection ended before an answer began. */
export function isHangUp(error: unknown): error is Error {
  return (
    error instanceof Error && !(error instanceof ConduitResetError) && 'code' in error && error.code === 'ECONNRESET'
  );
}

/** Whether node's client says by this error that what came is no HTTP. It has destroyed the connection by then. */
export function isGarbled(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('HPE_');
}
