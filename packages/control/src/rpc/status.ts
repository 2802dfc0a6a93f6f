/** Failures as gRPC statuses. */
import { Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { fieldErrorsToStatus } from '@weft/proto/wire';
import { type FailureKind, failureOf } from '../admin/failure.ts';

/** Trailing metadata with a stable word for the error, such as `token-expired`, for programs. */
export const ERROR_CODE_KEY = 'weft-error-code';

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
  const { kind, code, message, fields } = failure;
  const answer =
    fields.length === 0
      ? { code: STATUS[kind], details: message, metadata: new Metadata() }
      : { ...fieldErrorsToStatus(fields), code: STATUS[kind] };
  answer.metadata.set(ERROR_CODE_KEY, code);
  return answer;
}

/** What a caller is told of an error that is control's own: its text may hold paths or worse. */
export function internalStatus(): StatusObject {
  return { code: status.INTERNAL, details: 'control failed to serve this; its log says why', metadata: new Metadata() };
}
