/** What a caller is told of an error, whichever way it asked. What it can mend is told in full; control's own fault is not. */
import { countOf, type FieldProblem, FormatError } from '@weft/proto';
import { OversizedMessageError, WireError } from '@weft/proto/wire';
import { EnrollError, type EnrollErrorCode } from '../enroll/errors.ts';
import { FlowsError, type FlowsErrorCode } from '../flows/errors.ts';
import { StateError, type StateErrorCode } from '../state/errors.ts';
import { StoreError } from '../store/errors.ts';
import { RequestError } from './errors.ts';

/** What sort of failure it is: each adapter has a status of its own for each. */
export type FailureKind =
  | 'invalid'
  | 'unauthenticated'
  | 'not-permitted'
  | 'not-found'
  | 'already-exists'
  | 'precondition'
  | 'exhausted'
  | 'unavailable';

export interface Failure {
  readonly kind: FailureKind;
  /** A stable word for programs, such as `token-expired`. */
  readonly code: string;
  readonly message: string;
  /** What is wrong with which field, where that is what is wrong. */
  readonly fields: readonly FieldProblem[];
  /** What it is about, for programs: the revision that is there, the name that is not. */
  readonly about: Readonly<Record<string, string>>;
}

const STATE: Readonly<Record<StateErrorCode, FailureKind>> = {
  invalid: 'invalid',
  'tests-failed': 'invalid',
  'no-such-network': 'not-found',
  'no-such-agent': 'not-found',
  'no-such-token': 'not-found',
  'no-such-service': 'not-found',
  'no-such-policy': 'not-found',
  'no-such-revision': 'not-found',
  'named-apart': 'precondition',
  taken: 'already-exists',
  revoked: 'not-permitted',
  used: 'precondition',
  'token-ended': 'precondition',
  'changed-since': 'precondition',
  limit: 'exhausted',
  contended: 'unavailable',
  'older-data': 'precondition',
};

const ENROLL: Readonly<Record<EnrollErrorCode, FailureKind>> = {
  invalid: 'invalid',
  'token-unknown': 'unauthenticated',
  'proof-wrong': 'unauthenticated',
  'token-revoked': 'not-permitted',
  'out-of-scope': 'not-permitted',
  'host-revoked': 'not-permitted',
  'token-expired': 'precondition',
  'token-early': 'precondition',
  'token-used': 'precondition',
  'host-taken': 'already-exists',
  'other-network': 'precondition',
  limit: 'exhausted',
};

const FLOWS: Readonly<Record<Exclude<FlowsErrorCode, 'failed'>, FailureKind>> = {
  closed: 'unavailable',
  'thread-ended': 'unavailable',
  busy: 'exhausted',
};

/** Undefined for an error that is control's own, whose text may hold paths or worse. */
export function failureOf(error: unknown): Failure | undefined {
  if (error instanceof FormatError || error instanceof OversizedMessageError) return failure('invalid', error);
  if (error instanceof RequestError || error instanceof WireError)
    return failure('invalid', error, error.fields, countOf(error.count, error.fields));
  if (error instanceof StateError) return failure(STATE[error.code], error, error.fields, error.about);
  // What a file holds that cannot be read is for the log.
  if (error instanceof FlowsError && error.code !== 'failed') return failure(FLOWS[error.code], error);
  // Nothing of the change stands, and who asked for it may be who can make room.
  if (error instanceof StoreError && error.code === 'write-failed') return failure('exhausted', error);
  if (error instanceof EnrollError) return failure(ENROLL[error.code], error, error.fields);
  return undefined;
}

function failure(
  kind: FailureKind,
  { code, message }: { readonly code: string; readonly message: string },
  fields: readonly FieldProblem[] = [],
  about: Failure['about'] = {},
): Failure {
  return { kind, code, message, fields, about };
}
