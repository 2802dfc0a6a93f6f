/** What goes wrong between the wire and the model, and on the way to control. */
import { CodedError, fullMessageOf } from '../model/errors.ts';
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

/** What is said of an address where control was looked for and not found. */
export interface Told {
  /** Of which address, and what happened. */
  readonly what: string;
  /** What to do about it. */
  readonly advice: readonly string[];
}

/** Its message says what to do, too: a log and a status tell no more of it. */
abstract class NotFoundError extends Error implements Told {
  readonly what: string;
  readonly advice: readonly string[];

  constructor(told: Told, cause?: unknown) {
    super(tellAll([told]), cause === undefined ? undefined : { cause });
    this.what = told.what;
    this.advice = told.advice;
  }
}

/** No TLS connection to control came about. */
export class ControlUnreachableError extends NotFoundError {
  override readonly name = 'ControlUnreachableError';
  readonly code = 'control-unreachable';
  readonly why: string;
  /** Whether the host there says that nobody listens. */
  readonly refused: boolean;

  constructor(address: string, { why, advice, refused = false }: Unreachable, cause?: unknown) {
    super({ what: `control at ${address} cannot be reached: ${why}`, advice }, cause);
    this.why = why;
    this.refused = refused;
  }
}

/** Whoever answers is not the control that made the token. */
export class PinMismatchError extends NotFoundError {
  override readonly name = 'PinMismatchError';
  readonly code = 'pin-mismatch';

  constructor(address: string) {
    super({
      what: `${address} shows a certificate other than the token's pin names; expected the control that made the token`,
      advice: ['check the address, or have a new token made if control was set up anew'],
    });
  }
}

/** Of any error that came of looking for control there. */
export function toldAt(address: string, error: unknown): Told {
  if (error instanceof NotFoundError) return error;
  const message = fullMessageOf(error);
  return { what: message.includes(address) ? message : `${address}: ${message}`, advice: [] };
}

/** What happened at each, then each advice once, and what else there is to do. */
export function tellAll(all: readonly Told[], further: readonly string[] = []): string {
  return [...new Set([...all.map(({ what }) => what), ...all.flatMap(({ advice }) => advice), ...further])].join('; ');
}

/** A message that is not looked into. */
export class OversizedMessageError extends Error {
  override readonly name = 'OversizedMessageError';
  readonly code = 'oversized';

  constructor(type: string) {
    super(`${type}: larger than any that is valid, or not well formed`);
  }
}
