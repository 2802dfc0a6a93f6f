/** What goes wrong while reading the small written forms: ports, selectors, tokens; and how any error is told. */

export type FormatCode = 'bad-port' | 'bad-selector' | 'bad-destination';

/** A text that is not what its place asks for; the message says what was expected. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
  readonly code: FormatCode;

  constructor(code: FormatCode, message: string) {
    super(message);
    this.code = code;
  }
}

export type TokenCode = 'token-kind' | 'token-length' | 'token-damaged';

/** A token that cannot be used. The message never holds any part of the token. */
export class TokenError extends Error {
  override readonly name = 'TokenError';
  readonly code: TokenCode;

  constructor(code: TokenCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** What is said of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
