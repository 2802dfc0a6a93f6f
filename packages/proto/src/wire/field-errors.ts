/** FieldErrors as the trailing metadata of an INVALID_ARGUMENT, so that a client can point at each field. */
import { Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import type { FieldProblem } from '../model/problem.ts';
import { weft } from './generated.ts';
import type * as pb from './pb.ts';

const FIELD_ERRORS_KEY = 'weft-field-errors-bin';

/** HTTP/2 peers refuse header blocks of more than 16 KiB or so; base64 adds a third, and the message stands beside it. */
const MAX_BYTES = 6 * 1024;
const MAX_DETAILS = 1_000;

export function problemsFromWire(messages: readonly pb.Outgoing<pb.FieldMessage>[] | null | undefined): FieldProblem[] {
  return (messages ?? []).map(({ field, message }) => ({ field: field ?? '', message: message ?? '' }));
}

/** An INVALID_ARGUMENT whose details are the first problem in words; as many as fit go along as metadata. */
export function fieldErrorsToStatus(problems: readonly FieldProblem[]): StatusObject {
  const fitting: FieldProblem[] = [];
  let size = 0;
  for (const problem of problems) {
    size += Buffer.byteLength(problem.field) + Buffer.byteLength(problem.message) + 16;
    if (size > MAX_BYTES) break;
    fitting.push(problem);
  }
  const metadata = new Metadata();
  const encoded = weft.v1.FieldErrors.encode({ errors: fitting }).finish();
  metadata.set(FIELD_ERRORS_KEY, Buffer.from(encoded));
  return { code: status.INVALID_ARGUMENT, details: describe(problems), metadata };
}

function describe(problems: readonly FieldProblem[]): string {
  const [first] = problems;
  if (first === undefined) return 'invalid request';
  const words = `${first.field}: ${first.message}`.slice(0, MAX_DETAILS);
  return problems.length === 1 ? words : `${words} (and ${problems.length - 1} more)`;
}

/** The problems that an error carries; empty when it carries none that can be read. */
export function fieldErrorsFromError(error: unknown): FieldProblem[] {
  const metadata = (error as Partial<ServiceError> | undefined)?.metadata;
  const [value] = metadata instanceof Metadata ? metadata.get(FIELD_ERRORS_KEY) : [];
  if (!(value instanceof Uint8Array)) return [];
  try {
    return problemsFromWire((weft.v1.FieldErrors.decode(value) as pb.FieldErrors).errors);
  } catch {
    // The status itself says what is wrong; a detail that cannot be read adds nothing.
    return [];
  }
}
