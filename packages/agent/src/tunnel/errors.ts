import { CodedError } from '@weft/proto';
import { DatagramError } from '../protocol/datagram/errors.ts';
import { MuxError } from '../protocol/mux/errors.ts';
import { HandshakeError } from '../protocol/noise/errors.ts';
import { RecordError } from '../protocol/record/errors.ts';

/** No tunnel to the peer could be made, or none carried the request, in time. */
export class UnreachableError extends CodedError<
  'unknown-peer' | 'no-endpoint' | 'connect-failed' | 'no-file' | 'timeout' | 'tunnel-lost' | 'closed'
> {
  override readonly name = 'UnreachableError';
}

/** An opening that ended without an answer: the destination may have handed on what its caller had said. */
export class UnansweredError extends Error {
  override readonly name = 'UnansweredError';
  /** Bytes. */
  readonly early: number;
  /** The tunnel ended; or its deadline did, while the peer was heard (`slow`), or was silent. */
  readonly why: 'lost' | 'slow' | 'silent';

  constructor(message: string, early: number, why: UnansweredError['why'], options?: ErrorOptions) {
    super(message, options);
    this.early = early;
    this.why = why;
  }
}

/** Why a tunnel ended; the cause of the resets of what was in it. Nobody proved to have made one that is 'replayed-or-forged'. */
export class TunnelEndedError extends CodedError<
  'closed' | 'dead' | 'revoked' | 'violation' | 'replayed-or-forged' | 'failed' | 'idle' | 'shutdown'
> {
  override readonly name = 'TunnelEndedError';
}

/** The flow that a tunnel was asked for was cut here: its peer is left to hear of that by itself before the flow is let go of. */
export class FlowCutError extends Error {
  override readonly name = 'FlowCutError';
  readonly code = 'cut';
}

/** Whether the peer is at fault, and not this program. */
export function isViolation(error: unknown): error is MuxError | RecordError | HandshakeError | DatagramError {
  return (
    error instanceof MuxError ||
    error instanceof RecordError ||
    error instanceof HandshakeError ||
    error instanceof DatagramError
  );
}
