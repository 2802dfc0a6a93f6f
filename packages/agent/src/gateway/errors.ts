/** What goes wrong at the gateway. */
import type { FlowOutcome } from '@weft/proto';

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
