/** Failures as gRPC statuses. */
import { type StatusObject, status } from '@grpc/grpc-js';
import { errorStatus } from '@weft/proto/wire';
import type { Logger } from 'pino';
import { type FailureKind, failureOf } from '../admin/failure.ts';
import { StoreError } from '../store/errors.ts';

const STATUS: Readonly<Record<FailureKind, status>> = {
  invalid: status.INVALID_ARGUMENT,
  unauthenticated: status.UNAUTHENTICATED,
  'not-permitted': status.PERMISSION_DENIED,
  'not-found': status.NOT_FOUND,
  'already-exists': status.ALREADY_EXISTS,
  precondition: status.FAILED_PRECONDITION,
  exhausted: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
};

/** The status that tells a caller of the error; undefined for an error that is control's own. */
export function toStatus(error: unknown): StatusObject | undefined {
  const failure = failureOf(error);
  if (failure === undefined) return undefined;
  const { kind, code, message, fields, about } = failure;
  return errorStatus(STATUS[kind], message, { reason: code, metadata: about, fields });
}

/** What a caller is told of an error that is control's own: its text may hold paths or worse. */
export function internalStatus(): StatusObject {
  return errorStatus(status.INTERNAL, 'control failed to serve this; its log says why', { reason: 'internal' });
}

/** Whichever way it is called. */
export function noSuchMethod(): StatusObject {
  return errorStatus(status.UNIMPLEMENTED, 'there is no such method', { reason: 'no-such-method' });
}

/** The status for the caller; what only control can mend goes to the log instead. */
export function statusFor(error: unknown, signal: AbortSignal, method: string, logger: Logger): StatusObject {
  if (error instanceof CallRefused) return error.status;
  const known = toldOf(error, method, logger);
  if (known !== undefined) {
    if (error instanceof StoreError) logger.error({ event: 'call-failed', method, err: error }, error.message);
    return known;
  }
  if (signal.aborted) return errorStatus(status.CANCELLED, 'the call was cancelled', { reason: 'cancelled' });
  logger.error({ event: 'call-failed', method, err: error }, 'call failed');
  return internalStatus();
}

/** Nobody is there to catch what fails here, and control would end by it. */
function toldOf(error: unknown, method: string, logger: Logger): StatusObject | undefined {
  try {
    return toStatus(error);
  } catch (err) {
    logger.error({ event: 'call-failed', method, err }, 'an error could not be told to its caller');
    return undefined;
  }
}

/** A call that is not served, or not any longer: thrown, or the reason of a signal. */
export class CallRefused extends Error {
  override readonly name = 'CallRefused';
  readonly status: StatusObject;
  /** Of HTTP, where it is another than the status has in general. */
  readonly http: number | undefined;

  constructor(answer: StatusObject, http?: number) {
    super(answer.details);
    this.status = answer;
    this.http = http;
  }
}

/** `reason` is a stable word, such as `half-sent`. */
export function refusedCall(code: status, reason: string, details: string, http?: number): CallRefused {
  return new CallRefused(errorStatus(code, details, { reason }), http);
}
