/** Why a change was not accepted. Nothing has changed when one of these is thrown. */
import { CodedError, type FieldProblem } from '@weft/proto';

export type StateErrorCode =
  /** The request is wrong in itself; `fields` says where. */
  | 'invalid'
  /** A policy test of the mesh came out otherwise; `fields` says which. */
  | 'tests-failed'
  | 'no-such-network'
  | 'no-such-agent'
  | 'no-such-token'
  | 'no-such-service'
  | 'no-such-policy'
  /** A mesh of a revision that is not there yet, or not any more. */
  | 'no-such-revision'
  /** The mesh says of a host's name what it does not say of its new one. */
  | 'named-apart'
  /** A host name or key belongs to another agent. */
  | 'taken'
  /** An operator ended the membership after the token was made. */
  | 'revoked'
  /** A single-use token was used. */
  | 'used'
  /** A token that admits nobody already. */
  | 'token-ended'
  | 'limit'
  /** The mesh was changed since the revision that the caller knows. */
  | 'changed-since'
  /** Other writers were first, each time that it was tried. */
  | 'contended'
  /** Hosts have heard of more than the data holds: nothing is changed until an operator has seen it. */
  | 'older-data';

export class StateError extends CodedError<StateErrorCode> {
  override readonly name = 'StateError';
  readonly fields: readonly FieldProblem[];
  /** What it is about, for programs, such as the name of what is not there. */
  readonly about: Readonly<Record<string, string>>;

  constructor(
    code: StateErrorCode,
    message: string,
    fields: readonly FieldProblem[] = [],
    about: StateError['about'] = {},
  ) {
    super(code, message);
    this.fields = fields;
    this.about = about;
  }
}
