/** What goes wrong at the gRPC border. */

/** A message that is not looked into. */
export class OversizedMessageError extends Error {
  override readonly name = 'OversizedMessageError';
  readonly code = 'oversized';

  constructor(type: string) {
    super(`${type}: larger than any that is valid, or not well formed`);
  }
}
