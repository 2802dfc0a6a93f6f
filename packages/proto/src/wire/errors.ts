/** What goes wrong between the wire and the model, and on the way to control. */
import { CodedError } from '../model/errors.ts';
import type { Unreachable } from './unreachable.ts';

export type WireCode =
  | 'wire-missing'
  | 'wire-enum'
  | 'wire-length'
  | 'wire-range'
  | 'wire-form'
  | 'wire-key'
  | 'wire-decode';

/** A message that means nothing in the model. Nothing of it was applied. */
export class WireError extends CodedError<WireCode> {
  override readonly name = 'WireError';
  /** Path of the field. */
  readonly field: string;

  constructor(code: WireCode, field: string, message: string, cause?: unknown) {
    super(code, `${field}: ${message}`, cause === undefined ? undefined : { cause });
    this.field = field;
  }
}

/** No TLS connection to control came about. Its message says what to do, too: a log and a status tell no more of it. */
export class ControlUnreachableError extends Error {
  override readonly name = 'ControlUnreachableError';
  readonly code = 'control-unreachable';
  readonly why: string;
  /** Its message without what to do. */
  readonly what: string;
  /** What to do about it. */
  readonly advice: string;

  constructor(address: string, { why, advice }: Unreachable, cause?: unknown) {
    const what = `control at ${address} cannot be reached: ${why}`;
    super(`${what}; ${advice}`, cause === undefined ? undefined : { cause });
    this.why = why;
    this.what = what;
    this.advice = advice;
  }
}

/** Whoever answers is not the control that made the token. */
export class PinMismatchError extends Error {
  override readonly name = 'PinMismatchError';
  readonly code = 'pin-mismatch';

  constructor(address: string) {
    super(
      `${address} shows a certificate other than the token's pin names; expected the control that made the token. ` +
        'Check the address, or have a new token made if control was set up anew',
    );
  }
}

/** A message that is not looked into. */
export class OversizedMessageError extends Error {
  override readonly name = 'OversizedMessageError';
  readonly code = 'oversized';

  constructor(type: string) {
    super(`${type}: larger than any that is valid, or not well formed`);
  }
}
