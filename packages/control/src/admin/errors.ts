/** What is asked of control and cannot be done as asked. */
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
