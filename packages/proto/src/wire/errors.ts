/** What goes wrong between the wire and the model, and on the way to control. */
import { CodedError, fullMessageOf } from '../model/errors.ts';
import { type FieldProblem, problem } from '../model/problem.ts';
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
  /** What is wrong, in the order of the message; the first is this field. */
  readonly fields: readonly FieldProblem[];
  /** How many there are, of which `fields` are the first. */
  readonly count: number;

  constructor(
    code: WireCode,
    field: string,
    message: string,
    cause?: unknown,
    others: readonly FieldProblem[] = [],
    count: number = 1 + others.length,
  ) {
    super(code, `${field}: ${message}`, cause === undefined ? undefined : { cause });
    this.field = field;
    this.fields = [problem(field, message), ...others];
    this.count = count;
  }
}

/** Of one message: past this many the list says nothing new. */
const MOST_WRONG = 100;
/** And past this many they are not counted: each is an error, and the next call waits. */
const MOST_COUNTED = 10_000;

/** Reads what may be wrong in several places, and tells of the first of them and how many there are. */
export class Wrongs {
  readonly #found: WireError[] = [];
  #count = 0;

  /** The rest need not be looked at. */
  get full(): boolean {
    return this.#count >= MOST_COUNTED;
  }

  /** Undefined for what is wrong. */
  read<T>(from: () => T): T | undefined {
    try {
      return from();
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      if (this.#count < MOST_WRONG) this.#found.push(error);
      this.#count += error.count;
      return undefined;
    }
  }

  /** Throws WireError where anything was. */
  throwIfAny(): void {
    const [first, ...more] = this.#found;
    if (first === undefined) return;
    const [{ field, message } = problem('', ''), ...others] = first.fields;
    const all = [...others, ...more.flatMap(({ fields }) => fields)];
    throw new WireError(first.code, field, message, first.cause, all.slice(0, MOST_WRONG - 1), this.#count);
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
