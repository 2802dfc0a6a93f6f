/** What is asked of control and cannot be done as asked. */
import { type FieldProblem, tellProblems } from '@weft/proto';
import { WireError } from '@weft/proto/wire';

/** A request that cannot be served as it stands. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly code: string;
  readonly fields: readonly FieldProblem[];

  /** How many there are, of which `fields` are the first. */
  readonly count: number;

  constructor(fields: readonly FieldProblem[], code = 'invalid', count: number = fields.length) {
    super(tellProblems(fields, count));
    this.fields = fields;
    this.code = code;
    this.count = count;
  }
}

type FormError = RequestError | WireError;

/**
 * The parts of a request, each read by its own: what is wrong with several is told together, in this order, under the first one's reason.
 * What is not there, or else cannot be done, is told where all of them are in form.
 */
export function readAll<Parts extends object>(readers: { readonly [Part in keyof Parts]: () => Parts[Part] }): Parts {
  const wrong: FormError[] = [];
  const failed: unknown[] = [];
  const read = Object.entries(readers as Record<string, () => unknown>).map(([part, from]) => {
    try {
      return [part, from()];
    } catch (error) {
      if (error instanceof RequestError || error instanceof WireError) wrong.push(error);
      else failed.push(error);
      return [part, undefined];
    }
  });
  const [first, ...more] = wrong;
  if (first !== undefined && more.length === 0) throw first;
  if (first !== undefined)
    throw new RequestError(
      wrong.flatMap(({ fields }) => fields),
      first.code,
      wrong.reduce((sum, { count }) => sum + count, 0),
    );
  if (failed.length > 0) throw failed[0];
  return Object.fromEntries(read) as Parts;
}
