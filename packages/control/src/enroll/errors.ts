import { CodedError, type FieldProblem, problem } from '@weft/proto';

/** Why a host may not join. */
export type EnrollErrorCode =
  /** The request is malformed; `field` says where. */
  | 'invalid'
  /** No such token, or not its secret: the two are not told apart. */
  | 'token-unknown'
  | 'token-revoked'
  | 'token-expired'
  /** It was made at a time that is far from having come, by control's clock. */
  | 'token-early'
  | 'token-used'
  /** The token does not cover what was asked for; `field` says what. */
  | 'out-of-scope'
  | 'proof-wrong'
  | 'host-revoked'
  | 'host-taken'
  /** Its keys are a member's of another network. */
  | 'other-network'
  | 'limit';

/** `message` is one sentence on what failed and one on what to do. */
export class EnrollError extends CodedError<EnrollErrorCode> {
  override readonly name = 'EnrollError';
  /** Fields of the join request that it is about; the message is of the first. */
  readonly fields: readonly FieldProblem[];

  constructor(
    code: EnrollErrorCode,
    message: string,
    field?: string,
    cause?: unknown,
    others: readonly FieldProblem[] = [],
  ) {
    super(code, message, cause === undefined ? undefined : { cause });
    this.fields = field === undefined ? [] : [problem(field, message), ...others];
  }
}

/** Control's own key, certificate or admin token cannot be used. */
export class KeyFileError extends CodedError<'damaged' | 'mismatch'> {
  override readonly name = 'KeyFileError';
}
