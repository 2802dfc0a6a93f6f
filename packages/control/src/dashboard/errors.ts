/** What the dashboard refuses, and how every error that a request can meet is told to the page. */
import { CodedError, tellProblems } from '@weft/proto';
import { type FailureKind, failureOf } from '../admin/failure.ts';
import type { Failure } from './api.ts';

const STATUS = {
  invalid: 400,
  'not-json': 400,
  'signed-out': 401,
  'token-wrong': 401,
  'cross-site': 403,
  'no-such-page': 404,
  'wrong-method': 405,
  'too-large': 413,
  'wrong-type': 415,
  'wrong-host': 421,
  'too-many-tries': 429,
  'too-many-streams': 429,
} as const;

export type DashboardErrorCode = keyof typeof STATUS;

/** A request that the dashboard refuses. */
export class DashboardError extends CodedError<DashboardErrorCode> {
  override readonly name = 'DashboardError';
}

export interface Refusal {
  readonly status: number;
  readonly failure: Failure;
}

const OF_KIND: Readonly<Record<FailureKind, number>> = {
  invalid: 400,
  unauthenticated: 401,
  'not-permitted': 403,
  'not-found': 404,
  'already-exists': 409,
  precondition: 409,
  exhausted: 429,
  unavailable: 503,
};

/** What the server itself has to say of bodies. */
const OF_SERVER: Readonly<Record<string, DashboardErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'wrong-type',
  FST_ERR_CTP_INVALID_JSON_BODY: 'not-json',
};

const BODY_WORDS: Readonly<Partial<Record<DashboardErrorCode, string>>> = {
  'too-large': 'the body is larger than any that is taken here, 16 KiB',
  'wrong-type': 'the body must be application/json',
  'not-json': 'the body is not JSON',
  invalid: 'the request is not well formed',
};

/** What a caller is told of the error; undefined for one that is control's own, whose text may hold paths or worse. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof DashboardError) return refusal(STATUS[error.code], error.code, error.message);
  const known = failureOf(error);
  if (known !== undefined) {
    const { kind, code, message, fields } = known;
    // The text is all there is here.
    return refusal(OF_KIND[kind], code, fields.length === 0 ? message : tellProblems(fields));
  }
  if (!(error instanceof Error)) return undefined;
  const { code = '', statusCode = 500 } = error as { readonly code?: string; readonly statusCode?: number };
  if (statusCode < 400 || statusCode >= 500) return undefined;
  const word = OF_SERVER[code] ?? (error instanceof SyntaxError ? 'not-json' : 'invalid');
  return refusal(STATUS[word], word, BODY_WORDS[word] ?? 'the request is not well formed');
}

export const INTERNAL: Refusal = refusal(500, 'internal', 'control failed to serve this; its log says why');

function refusal(status: number, code: string, message: string): Refusal {
  return { status, failure: { code, message } };
}
