/** What goes wrong at the border: a port that cannot be had, a request that cannot be served. */
import type { FieldProblem } from '@weft/proto';

/** A request that cannot be served as it stands. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly code = 'invalid';
  readonly fields: readonly FieldProblem[];

  constructor(fields: readonly FieldProblem[]) {
    super(fields.map(({ field, message }) => `${field}: ${message}`).join('; '));
    this.fields = fields;
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
