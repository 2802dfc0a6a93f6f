/** Errors as gRPC statuses. What a client can mend is told in full; what is control's own fault is not told at all. */
import { Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { FormatError } from '@weft/proto';
import { fieldErrorsToStatus, WireError } from '@weft/proto/wire';
import { EnrollError, type EnrollErrorCode } from '../enroll/errors.ts';
import { FlowsError, type FlowsErrorCode } from '../flows/errors.ts';
import { StateError, type StateErrorCode } from '../state/errors.ts';
import { RequestError } from './errors.ts';

/** Trailing metadata with a stable word for the error, such as `token-expired`, for programs. */
export const ERROR_CODE_KEY = 'weft-error-code';

const STATE_STATUS: Readonly<Record<StateErrorCode, status>> = {
  invalid: status.INVALID_ARGUMENT,
  'tests-failed': status.INVALID_ARGUMENT,
  'no-such-network': status.NOT_FOUND,
  'no-such-agent': status.NOT_FOUND,
  'no-such-token': status.NOT_FOUND,
  'no-such-service': status.NOT_FOUND,
  'no-such-revision': status.NOT_FOUND,
  taken: status.ALREADY_EXISTS,
  used: status.FAILED_PRECONDITION,
  limit: status.RESOURCE_EXHAUSTED,
};

const ENROLL_STATUS: Readonly<Record<EnrollErrorCode, status>> = {
  invalid: status.INVALID_ARGUMENT,
  'token-unknown': status.UNAUTHENTICATED,
  'proof-wrong': status.UNAUTHENTICATED,
  'token-revoked': status.PERMISSION_DENIED,
  'out-of-scope': status.PERMISSION_DENIED,
  'host-revoked': status.PERMISSION_DENIED,
  'token-expired': status.FAILED_PRECONDITION,
  'token-used': status.FAILED_PRECONDITION,
  'host-taken': status.ALREADY_EXISTS,
  limit: status.RESOURCE_EXHAUSTED,
};

const FLOWS_STATUS: Readonly<Record<Exclude<FlowsErrorCode, 'failed'>, status>> = {
  closed: status.UNAVAILABLE,
  'thread-ended': status.UNAVAILABLE,
  busy: status.RESOURCE_EXHAUSTED,
};

/** The status that tells a caller of the error; undefined for an error that is control's own. */
export function toStatus(error: unknown): StatusObject | undefined {
  if (error instanceof WireError) {
    return withCode(fieldErrorsToStatus([{ field: error.field, message: unprefixed(error) }]), error.code);
  }
  if (error instanceof FormatError) return statusOf(status.INVALID_ARGUMENT, error);
  if (error instanceof RequestError) return withCode(fieldErrorsToStatus(error.fields), error.code);
  if (error instanceof StateError) {
    if (error.fields.length > 0) return withCode(fieldErrorsToStatus(error.fields), error.code);
    return statusOf(STATE_STATUS[error.code], error);
  }
  // What a file holds that cannot be read is for the log.
  if (error instanceof FlowsError && error.code !== 'failed') return statusOf(FLOWS_STATUS[error.code], error);
  if (error instanceof EnrollError) return enrollStatus(error);
  return undefined;
}

/** The status of its kind, with the field beside it where the error is about one. */
function enrollStatus(error: EnrollError): StatusObject {
  const { code, field, message } = error;
  if (field === undefined) return statusOf(ENROLL_STATUS[code], error);
  const { metadata } = fieldErrorsToStatus([{ field, message }]);
  return withCode({ code: ENROLL_STATUS[code], details: `${field}: ${message}`, metadata }, code);
}

/** What a caller is told of an error that is control's own: its text may hold paths or worse. */
export function internalStatus(): StatusObject {
  return { code: status.INTERNAL, details: 'control failed to serve this; its log says why', metadata: new Metadata() };
}

function statusOf(code: status, error: { readonly code: string; readonly message: string }): StatusObject {
  return withCode({ code, details: error.message, metadata: new Metadata() }, error.code);
}

function withCode(answer: StatusObject, code: string): StatusObject {
  answer.metadata.set(ERROR_CODE_KEY, code);
  return answer;
}

/** A WireError's message begins with its field, which stands beside it in the status. */
function unprefixed({ field, message }: WireError): string {
  return message.startsWith(`${field}: `) ? message.slice(field.length + 2) : message;
}
