/** What goes wrong while reading the small written forms: ports, selectors, tokens; and how any error is told and told apart. */

/** An error that programs tell from others by its code; the cause goes with it. */
export class CodedError<Code extends string> extends Error {
  readonly code: Code;

  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export type FormatCode = 'bad-port' | 'bad-selector' | 'bad-destination';

/** A text that is not what its place asks for; the message says what was expected. */
export class FormatError extends CodedError<FormatCode> {
  override readonly name = 'FormatError';
}

export type TokenCode = 'token-kind' | 'token-length' | 'token-damaged';

/** A token that cannot be used. The message never holds any part of the token. */
export class TokenError extends CodedError<TokenCode> {
  override readonly name = 'TokenError';
}

/** What is said of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Causes that are told of one error. */
const MOST_CAUSES = 3;

/** As `messageOf`, and of an error that gathers others what went wrong in them: each once, the first three at each depth, and how many more. */
export function fullMessageOf(error: unknown): string {
  if (!(error instanceof AggregateError)) return messageOf(error);
  const causes = [...new Set(error.errors.map(fullMessageOf))];
  const more = causes.length > MOST_CAUSES ? `; and ${causes.length - MOST_CAUSES} more` : '';
  return `${error.message}: ${causes.slice(0, MOST_CAUSES).join('; ')}${more}`;
}

/** What was thrown, as the error that it should have been. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}
