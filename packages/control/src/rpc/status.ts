/** Failures as gRPC statuses. */
import { type StatusObject, status } from '@grpc/grpc-js';
import { errorStatus } from '@weft/proto/wire';
import { type FailureKind, failureOf } from '../admin/failure.ts';

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
