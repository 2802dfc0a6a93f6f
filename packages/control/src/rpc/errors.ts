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

/** An address that cannot be listened on. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly code: 'taken' | 'not-permitted' | 'no-such-address' | 'failed';

  /** `option` is the one that names the address. */
  constructor(address: string, option: string, cause: NodeJS.ErrnoException) {
    const [code, why] = reason(cause);
    super(`cannot listen on ${address}: ${why}; choose another with ${option}`, { cause });
    this.code = code;
  }
}

function reason(cause: NodeJS.ErrnoException): [ListenError['code'], string] {
  switch (cause.code) {
    case 'EADDRINUSE':
      return ['taken', 'the port is taken by another process'];
    case 'EACCES':
      return ['not-permitted', 'this user may not use the port'];
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return ['no-such-address', 'it is no address of this host'];
    default:
      return ['failed', cause.message];
  }
}
